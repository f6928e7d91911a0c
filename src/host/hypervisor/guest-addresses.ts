import { run } from "#lib/spawn.ts";
import { GUEST_LINK_LOCAL, GUEST_MAC, type SlotNetwork } from "./slot-network.ts";

const IP_TIMEOUT_MS = 5_000;

/**
 * Writes the guest's link-local address into the neighbour table for good (ip-neighbour(8), `nud permanent`). Without it
 * the kernel asks the silent guest at one-second steps while it boots, and a guest that comes up in between is found up
 * to a second late. Repeating it is safe; failing costs that second and nothing else.
 */
export async function pinNeighbour({ bridge }: SlotNetwork): Promise<void> {
  const entry = [GUEST_LINK_LOCAL, "lladdr", GUEST_MAC, "nud", "permanent", "dev", bridge];
  await run("ip", ["-6", "neighbour", "replace", ...entry], { timeoutMs: IP_TIMEOUT_MS }).catch(
    () => undefined,
  );
}

/**
 * Where the slot's guest may answer, best first: the link-local address of its MAC, other link-local neighbours on its
 * bridge (images that make stable-privacy addresses, RFC 7217), the reserved IPv4 address.
 */
export async function guestAddresses(network: SlotNetwork): Promise<readonly string[]> {
  const neighbours = await linkLocalNeighbours(network.bridge).catch(() => []);
  const own = `${GUEST_LINK_LOCAL}%${network.bridge}`;
  return [...new Set([own, ...neighbours, network.ipv4.guest])];
}

async function linkLocalNeighbours(bridge: string): Promise<readonly string[]> {
  const text = await run("ip", ["-6", "-json", "neighbour", "show", "dev", bridge], {
    timeoutMs: IP_TIMEOUT_MS,
  });
  const entries = JSON.parse(text === "" ? "[]" : text) as {
    dst: string;
    lladdr?: string;
    state?: string[];
  }[];
  return entries
    .filter(
      ({ dst, lladdr, state }) =>
        dst.startsWith("fe80:") && lladdr === GUEST_MAC && !state?.includes("FAILED"),
    )
    .map(({ dst }) => `${dst}%${bridge}`);
}

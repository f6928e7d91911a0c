import { writeFile } from "node:fs/promises";
import { GUEST_LINK_LOCAL, GUEST_MAC } from "#host/hypervisor/slot-network.ts";
import { run } from "#lib/spawn.ts";

/** At most 15 characters (IFNAMSIZ, netdevice(7)); one bench at a time. */
const BRIDGE = "tb-bench";
const TAP = "tb-bench-tap";
const IP_MS = 5000;

export type Tap = {
  readonly tap: string;
  /** The guest's link-local address, with its zone. */
  readonly address: string;
};

/** A bridge with a tap on it, for one machine of ours that libvirt knows nothing of. Both go with the scope. */
export async function makeTap(scope: AsyncDisposableStack, signal: AbortSignal): Promise<Tap> {
  const ip = (...args: string[]) => run("ip", args, { timeoutMs: IP_MS, signal });
  await removeLink(TAP);
  await removeLink(BRIDGE);
  scope.defer(() => removeLink(BRIDGE));
  await ip("link", "add", BRIDGE, "type", "bridge", "stp_state", "0", "forward_delay", "0");
  // The host's own address counts at once, without a second of duplicate detection after each start.
  await writeFile(`/proc/sys/net/ipv6/conf/${BRIDGE}/accept_dad`, "0");
  await writeFile(`/proc/sys/net/ipv6/conf/${BRIDGE}/accept_ra`, "0");
  scope.defer(() => removeLink(TAP));
  await ip("tuntap", "add", "dev", TAP, "mode", "tap");
  await ip("link", "set", TAP, "master", BRIDGE, "up");
  await ip("link", "set", BRIDGE, "up");
  const entry = [GUEST_LINK_LOCAL, "lladdr", GUEST_MAC, "nud", "permanent", "dev", BRIDGE];
  await ip("-6", "neighbour", "replace", ...entry);
  return { tap: TAP, address: `${GUEST_LINK_LOCAL}%${BRIDGE}` };
}

async function removeLink(name: string): Promise<void> {
  await run("ip", ["link", "delete", name], { timeoutMs: IP_MS }).catch(() => undefined);
}

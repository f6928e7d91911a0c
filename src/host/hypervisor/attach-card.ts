import { readlink } from "node:fs/promises";
import { basename } from "node:path";
import { Fault } from "#job/fault.ts";
import { run } from "#lib/spawn.ts";
import type { Libvirt } from "#libvirt/client.ts";
import type { DomainRef } from "#libvirt/protocol-values.ts";
import { translating } from "./libvirt-fault.ts";
import { fromXml } from "./xml.ts";

const IP_TIMEOUT_MS = 5_000;

/**
 * Plugs a running machine's card into its bridge, should it hang loose: it does after its network was stopped and started,
 * since libvirt plugs cards in when a machine or libvirtd starts. Twice is safe. Throws network-unavailable, libvirt-unreachable.
 */
export async function attachCard(
  libvirt: Libvirt,
  domain: DomainRef,
  { bridge, signal }: { bridge: string; signal: AbortSignal },
): Promise<void> {
  const context = {
    doing: `the card of ${domain.name}`,
    refused: "network-unavailable",
    signal,
  } as const;
  const xml = await translating(context, () => libvirt.domains.xml(domain, { signal }));
  const card = fromXml(xml).at("domain", "devices", "interface", "target").attribute("dev");
  if (card === undefined || (await bridgeOf(card)) === bridge) return;
  const args = ["link", "set", "dev", card, "master", bridge, "up"];
  try {
    await run("ip", args, { timeoutMs: IP_TIMEOUT_MS, signal });
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    throw new Fault(
      "network-unavailable",
      `the card ${card} of ${domain.name} is not on its bridge ${bridge} and could not be put there: ${(error as Error).message}. Try: ip ${args.join(" ")}`,
      { cause: error, stage: "network", evidence: { card, bridge } },
    );
  }
}

async function bridgeOf(card: string): Promise<string | undefined> {
  return await readlink(`/sys/class/net/${card}/master`).then(basename, () => undefined);
}

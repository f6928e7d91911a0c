import { access } from "node:fs/promises";
import { Fault } from "#job/fault.ts";
import type { Libvirt } from "#libvirt/client.ts";
import { LibvirtError } from "#libvirt/error.ts";
import type { NetworkRef } from "#libvirt/protocol-values.ts";
import { translating } from "./libvirt-fault.ts";
import { networkXml } from "./network-xml.ts";
import { RANGES, type SlotNetwork, slotNetwork } from "./slot-network.ts";
import { fromXml } from "./xml.ts";

/**
 * The slot's network, running: found, started, or made. It is kept after the machine is gone. Twice is safe. When
 * another network of the host holds the IPv4 range, the next range is tried.
 */
export async function ensureNetwork(
  libvirt: Libvirt,
  { installation, slot }: { installation: string; slot: number },
  signal: AbortSignal,
): Promise<SlotNetwork> {
  const context = {
    doing: "a network for the machine",
    refused: "network-unavailable",
    signal,
  } as const;
  return await translating(context, async () => {
    const { name, bridge } = slotNetwork(installation, slot, 0);
    const known = await libvirt.networks.lookupByName(name, { signal });
    if (known === undefined) return await makeNetwork(libvirt, { installation, slot }, signal);
    if (!(await libvirt.networks.isActive(known, { signal })))
      await start(libvirt, { network: known, bridge }, signal);
    const ip = fromXml(await libvirt.networks.xml(known, { signal }))
      .at("network")
      .all("ip")
      .map((element) => element.attribute("address"));
    const found = candidates(installation, slot).find(({ ipv4 }) => ip.includes(ipv4.host));
    if (found !== undefined) return found;
    throw new Fault(
      "network-unavailable",
      `libvirt's network ${name} was changed: its addresses are not testbed's. Remove it: virsh net-destroy ${name}; virsh net-undefine ${name}`,
      { stage: "network" },
    );
  });
}

function candidates(installation: string, slot: number): SlotNetwork[] {
  return Array.from({ length: RANGES }, (_, range) => slotNetwork(installation, slot, range));
}

async function makeNetwork(
  libvirt: Libvirt,
  { installation, slot }: { installation: string; slot: number },
  signal: AbortSignal,
): Promise<SlotNetwork> {
  let last: unknown;
  for (const network of candidates(installation, slot)) {
    const made = await libvirt.networks.define(networkXml(network, installation, slot), { signal });
    try {
      await start(libvirt, { network: made, bridge: network.bridge }, signal);
      return network;
    } catch (error) {
      await libvirt.networks.undefine(made);
      if (!(error instanceof LibvirtError)) throw error;
      last = error;
    }
  }
  throw last;
}

/** Starts a network that is not running. A bridge that is there already is told by name: libvirt makes it, or does not start. */
async function start(
  libvirt: Libvirt,
  { network, bridge }: { network: NetworkRef; bridge: string },
  signal: AbortSignal,
): Promise<void> {
  try {
    await libvirt.networks.create(network, { signal });
  } catch (error) {
    // libvirt takes away what it made itself. When its own record of running networks is lost (/run is in memory), bridges
    // stay behind, and it says no more than "File exists", or that the range is in use.
    if (!(error instanceof LibvirtError) || !(await isThere(bridge))) throw error;
    throw new Fault(
      "network-unavailable",
      `the bridge ${bridge} is on this host, but libvirt does not know that its network ${network.name} is running: it lost its records, or somebody else made the bridge. When nothing uses it (ip link show master ${bridge}), remove it: ip link delete ${bridge}`,
      { cause: error, stage: "network", evidence: { bridge, said: error.message } },
    );
  }
}

async function isThere(device: string): Promise<boolean> {
  return await access(`/sys/class/net/${device}`).then(
    () => true,
    () => false,
  );
}

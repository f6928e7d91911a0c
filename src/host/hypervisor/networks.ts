import { Fault } from "#job/fault.ts";
import type { Libvirt } from "#libvirt/client.ts";
import { LibvirtError } from "#libvirt/error.ts";
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
    const { name } = slotNetwork(installation, slot, 0);
    const known = await libvirt.networks.lookupByName(name, { signal });
    if (known === undefined) return await makeNetwork(libvirt, { installation, slot }, signal);
    if (!(await libvirt.networks.isActive(known, { signal })))
      await libvirt.networks.create(known, { signal });
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
      await libvirt.networks.create(made, { signal });
      return network;
    } catch (error) {
      await libvirt.networks.undefine(made);
      if (!(error instanceof LibvirtError)) throw error;
      last = error;
    }
  }
  throw last;
}

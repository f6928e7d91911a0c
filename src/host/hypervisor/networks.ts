import { isIPv6, SocketAddress } from "node:net";
import { Fault } from "#job/fault.ts";
import type { Libvirt } from "#libvirt/client.ts";
import { LibvirtError } from "#libvirt/error.ts";
import type { NetworkRef } from "#libvirt/protocol-values.ts";
import { translating } from "./libvirt-fault.ts";
import { isDeviceThere, isServed } from "./network-health.ts";
import { networkXml, reservationXml } from "./network-xml.ts";
import { RANGES, type SlotNetwork, slotNetwork } from "./slot-network.ts";
import { fromXml } from "./xml.ts";

/**
 * The slot's network, running: found, put right, started, or made. It is kept after the machine is gone. Twice is safe. When
 * another network of the host holds the IPv4 range, the next range is tried. One that somebody changed is not used: a
 * guest must not find itself elsewhere than it was promised.
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
    let isActive = await libvirt.networks.isActive(known, { signal });
    if (isActive && !(await isDeviceThere(bridge))) {
      // Somebody deleted the bridge, and libvirt does not look: stopping the network is what makes it able to start.
      await libvirt.networks.destroy(known, { signal });
      isActive = false;
    }
    const xml = await libvirt.networks.xml(known, { signal });
    const found = candidates(installation, slot).find((network) => isAsMade(xml, network));
    if (found === undefined) throw changed(name);
    if (!isActive) await start(libvirt, { network: known, bridge }, signal);
    else if (!(await isServed(found.ipv4.host)))
      await libvirt.networks.updateHost(known, reservationXml(found), { signal });
    return found;
  });
}

/** Whether a network is still what `networkXml` says of it, as far as a guest can tell. */
function isAsMade(xml: string, { bridge, ipv4, ipv6 }: SlotNetwork): boolean {
  const network = fromXml(xml).at("network");
  const addresses = network.all("ip").map((ip) => plain(ip.attribute("address") ?? ""));
  return (
    network.at("bridge").attribute("name") === bridge &&
    network.at("forward").attribute("mode") === "nat" &&
    addresses.length === 2 &&
    addresses.includes(ipv4.host) &&
    addresses.includes(plain(ipv6))
  );
}

/** An address as libvirt writes it: IPv6 has many spellings. */
function plain(address: string): string {
  return isIPv6(address) ? new SocketAddress({ address, family: "ipv6" }).address : address;
}

function changed(name: string): Fault {
  return new Fault(
    "network-unavailable",
    `libvirt's network ${name} was changed: its bridge, mode or addresses are not testbed's. Remove it: virsh net-destroy ${name}; virsh net-undefine ${name}`,
    { stage: "network" },
  );
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
    if (!(error instanceof LibvirtError) || !(await isDeviceThere(bridge))) throw error;
    throw new Fault(
      "network-unavailable",
      `the bridge ${bridge} is on this host, but libvirt does not know that its network ${network.name} is running: it lost its records, or somebody else made the bridge. When nothing uses it (ip link show master ${bridge}), remove it: ip link delete ${bridge}`,
      { cause: error, stage: "network", evidence: { bridge, said: error.message } },
    );
  }
}

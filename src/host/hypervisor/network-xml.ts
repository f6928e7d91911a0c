import { ownershipElement } from "./ownership.ts";
import { GUEST_MAC, type SlotNetwork } from "./slot-network.ts";
import { toXml, type XmlNode } from "./xml.ts";

/**
 * A dual-stack NAT network for one machine. IPv4 comes from a reservation for the fixed MAC; the range holds that one
 * address, so a guest with another MAC gets none. No `<dhcp>` for IPv6: with it the router advertisements say "managed"
 * and guests without a DHCPv6 client stay without an address; without it they say SLAAC.
 */
export function networkXml(network: SlotNetwork, installation: string, slot: number): string {
  const { host, guest, netmask } = network.ipv4;
  return toXml({
    network: {
      name: network.name,
      metadata: ownershipElement({ installation, slot }),
      forward: { "@mode": "nat", nat: { "@ipv6": "yes" } },
      bridge: { "@name": network.bridge, "@stp": "off", "@delay": "0" },
      ip: [
        {
          "@address": host,
          "@netmask": netmask,
          dhcp: {
            range: { "@start": guest, "@end": guest },
            host: reservation(network),
          },
        },
        { "@family": "ipv6", "@address": network.ipv6, "@prefix": "64" },
      ],
    },
  });
}

/** The guest's reservation alone, as libvirt takes it for a network that runs. */
export function reservationXml(network: SlotNetwork): string {
  return toXml({ host: reservation(network) });
}

function reservation({ ipv4 }: SlotNetwork): XmlNode {
  return { "@mac": GUEST_MAC, "@ip": ipv4.guest };
}

import { createHash } from "node:crypto";

/** Where a slot's machine lives. Everything follows from installation and slot, so that it is the same after a restart. */
export type SlotNetwork = {
  readonly name: string;
  /** At most 15 characters (IFNAMSIZ, netdevice(7)). */
  readonly bridge: string;
  readonly ipv4: { readonly host: string; readonly guest: string; readonly netmask: string };
  /** The host's address in the slot's ULA /64 (RFC 4193); the guest makes its own by SLAAC. */
  readonly ipv6: string;
};

/** Every machine has this MAC: each slot has a bridge of its own, and clones of one template keep their MAC. */
export const GUEST_MAC = "52:54:00:74:62:64";

/** Link-local address that a guest makes of its MAC by EUI-64 (RFC 4291, appendix A). */
export const GUEST_LINK_LOCAL = "fe80::5054:ff:fe74:6264";

/** How many IPv4 ranges are tried when one is taken by a network that is not ours. */
export const RANGES = 16;

/** The slot's network; `range` counts the tries, from 0, when an IPv4 range is taken. */
export function slotNetwork(installation: string, slot: number, range: number): SlotNetwork {
  const hash = createHash("sha256").update(installation).digest();
  // 172.16.0.0/12 and 192.168.0.0/16 are where homes, offices and containers live; 10.128.0.0/9 is the emptiest.
  const second = 128 + ((hash.readUInt8(0) + range * 7) % 128);
  const third = (hash.readUInt8(1) + slot) % 256;
  const globalId = hash.subarray(2, 7).toString("hex");
  return {
    name: `testbed-${installation.slice(0, 8)}-${slot}`,
    bridge: `${bridgePrefix(installation)}${slot}`,
    ipv4: {
      host: `10.${second}.${third}.1`,
      guest: `10.${second}.${third}.2`,
      netmask: "255.255.255.252",
    },
    ipv6: `fd${globalId.slice(0, 2)}:${globalId.slice(2, 6)}:${globalId.slice(6, 10)}:${slot.toString(16)}::1`,
  };
}

/** What all bridges of an installation begin with: the firewall's rules match on it. */
export function bridgePrefix(installation: string): string {
  return `tb${installation.slice(0, 6)}-`;
}

import { lookup } from "node:dns/promises";
import { BlockList, isIP } from "node:net";
import { networkInterfaces } from "node:os";
import { refused } from "./fetch-faults.ts";

/** An address that may be dialled, as `node:net` takes it from a lookup. */
export type Address = { readonly address: string; readonly family: number };

/** The addresses of a host name, all of them; or why there are none, as an error of the system's. */
export type Resolve = (hostname: string) => Promise<readonly Address[]>;

/**
 * Addresses that only this host or its own link can mean. What a catalogue names there is a service of the host (libvirt, a database, the
 * metadata of a cloud) and no image. Private networks (RFC 1918, RFC 4193, RFC 6598) are not among them: that is where the
 * catalogue of a lab is. Sources: the registries of special addresses, RFC 6890.
 */
const REFUSED = [
  ["0.0.0.0/8", "means this host"],
  ["127.0.0.0/8", "is this host's loopback"],
  ["169.254.0.0/16", "is a link-local address"],
  ["224.0.0.0/4", "is a multicast address"],
  ["240.0.0.0/4", "is a reserved or a broadcast address"],
  ["::/128", "means this host"],
  ["::1/128", "is this host's loopback"],
  ["fe80::/10", "is a link-local address"],
  ["ff00::/8", "is a multicast address"],
  // A cloud's counterpart of 169.254.169.254, in a private network's clothes.
  ["fd00:ec2::254/128", "is the metadata service of a cloud"],
] as const;

const refusals = REFUSED.map(([cidr, why]) => ({ list: addressList([cidr]), why }));

/**
 * IPv6 addresses that carry an IPv4 address, from which byte on: mapped (RFC 4291), compatible (the same), NAT64 (RFC 6052,
 * RFC 8215) and 6to4 (RFC 3056). On hosts without IPv4 all of the old internet is behind NAT64, so what is carried decides.
 */
const CARRIERS = [
  { list: addressList(["::ffff:0:0/96"]), at: 12 },
  { list: addressList(["::/96"]), at: 12 },
  { list: addressList(["64:ff9b::/96"]), at: 12 },
  { list: addressList(["64:ff9b:1::/48"]), at: 12 },
  { list: addressList(["2002::/16"]), at: 2 },
];

/** The addresses in these CIDRs (`127.0.0.0/8`, `fd00::/8`, or one address). Throws `TypeError` naming the one that is none. */
export function addressList(cidrs: readonly string[]): BlockList {
  const list = new BlockList();
  for (const cidr of cidrs) {
    const [, address = "", bits] = /^([0-9a-fA-F.:]+)(?:\/(\d{1,3}))?$/.exec(cidr) ?? [];
    const version = isIP(address);
    const bitsMax = version === 4 ? 32 : 128;
    const prefix = bits === undefined ? bitsMax : Number(bits);
    if (version === 0 || prefix > bitsMax) throw new TypeError(`'${cidr}' is no address range`);
    list.addSubnet(address, prefix, version === 4 ? "ipv4" : "ipv6");
  }
  return list;
}

/** Whether an address is in a list; one that is none is in no list. */
export function isIn(list: BlockList, address: string): boolean {
  const bare = address.replace(/%.*$/, "");
  const version = isIP(bare);
  return version !== 0 && list.check(bare, version === 4 ? "ipv4" : "ipv6");
}

/** Why an address may not be dialled, as a predicate; undefined when it may. `own` are this host's. */
export function whyNotDialled(
  address: string,
  { allowed, own }: { readonly allowed: BlockList; readonly own: BlockList },
): string | undefined {
  if (isIP(address.replace(/%.*$/, "")) === 0) return "is no address";
  if (isIn(allowed, address)) return undefined;
  const known = refusals.find(({ list }) => isIn(list, address));
  if (known !== undefined) return known.why;
  if (isIn(own, address)) return "is an address of this host";
  const carried = carriedBy(address);
  return carried === undefined ? undefined : whyNotDialled(carried, { allowed, own });
}

/**
 * The addresses that a URL's host has now, each of them checked. They are to be dialled as they are: who asks for the name again may be
 * told something else (DNS rebinding). One that is refused makes the name refused. Throws image-refused, or what the resolver throws.
 */
export async function dialable(
  hostname: string,
  { allowed, resolve }: { readonly allowed: BlockList; readonly resolve: Resolve },
): Promise<readonly Address[]> {
  const literal = hostname.replace(/^\[(.*)\]$/, "$1");
  const family = isIP(literal);
  const addresses = family === 0 ? await resolve(hostname) : [{ address: literal, family }];
  const own = ownAddresses();
  for (const { address } of addresses) {
    const why = whyNotDialled(address, { allowed, own });
    if (why !== undefined)
      throw refused(
        `${hostname}: ${address} ${why}. If that is meant, name it in the catalogue's allowAddresses`,
      );
  }
  return addresses;
}

/** The system's resolver. */
export async function resolveName(hostname: string): Promise<readonly Address[]> {
  return await lookup(hostname, { all: true });
}

function ownAddresses(): BlockList {
  const interfaces = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return addressList(interfaces.map(({ address }) => address.replace(/%.*$/, "")));
}

function carriedBy(address: string): string | undefined {
  if (!address.includes(":")) return undefined;
  const carrier = CARRIERS.find(({ list }) => isIn(list, address));
  if (carrier === undefined) return undefined;
  return bytesOf(address)
    .subarray(carrier.at, carrier.at + 4)
    .join(".");
}

/** The 16 bytes of an IPv6 address. A URL's parser writes each as hexadecimal groups. */
function bytesOf(address: string): Uint8Array {
  const canonical = new URL(`https://[${address.replace(/%.*$/, "")}]/`).hostname.slice(1, -1);
  const [head = "", tail] = canonical.split("::");
  const groupsOf = (text: string) => (text === "" ? [] : text.split(":"));
  const [before, after] = [groupsOf(head), groupsOf(tail ?? "")];
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => "0");
  const groups = [...before, ...zeros, ...after].map((group) => Number.parseInt(group, 16));
  return Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 0xff]));
}

import { access, readFile } from "node:fs/promises";

/** DNS: the one port that a slot's server binds on the slot's own address; DHCP's it binds on all. */
const DNS_PORT = 53;

/** Whether a network device is on this host. */
export async function isDeviceThere(device: string): Promise<boolean> {
  return await access(`/sys/class/net/${device}`).then(
    () => true,
    () => false,
  );
}

/**
 * Whether something serves DNS on an IPv4 address of this host. libvirt does not watch the dnsmasq of a network (one process
 * for addresses, names and router advertisements), and knows a network without it as running.
 */
export async function isServed(address: string): Promise<boolean> {
  return listensOn(await readFile("/proc/net/udp", "utf8"), address);
}

/** Reads the kernel's table of UDP sockets, where an address is four bytes of hex in the host's byte order (proc(5)). */
export function listensOn(table: string, address: string): boolean {
  const bytes = Buffer.from(address.split(".").map(Number)).readUInt32LE();
  const hex = (value: number, digits: number) =>
    value.toString(16).toUpperCase().padStart(digits, "0");
  return table.includes(` ${hex(bytes, 8)}:${hex(DNS_PORT, 4)} `);
}

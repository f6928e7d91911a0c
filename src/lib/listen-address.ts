import { isIP } from "node:net";

/** Where a server listens. */
export type ListenAddress =
  | { readonly kind: "unix"; readonly path: string }
  | { readonly kind: "tcp"; readonly host: string; readonly port: number };

/** The longest path of a Unix socket on Linux: unix(7), sun_path without its NUL. */
export const SOCKET_PATH_BYTES_MAX = 107;

/** Reads `unix:/path`, `127.0.0.1:8420` or `[::1]:8420`; undefined for anything else, names of hosts among it. */
export function parseListenAddress(text: string): ListenAddress | undefined {
  if (text.startsWith("unix:/")) {
    const path = text.slice("unix:".length);
    const fits = Buffer.byteLength(path) <= SOCKET_PATH_BYTES_MAX && !path.includes("\0");
    return fits ? { kind: "unix", path } : undefined;
  }
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)):([0-9]{1,5})$/.exec(text);
  if (match === null) return undefined;
  const [, six, four, digits] = match;
  const host = six ?? four ?? "";
  const port = Number(digits);
  const isAddress = isIP(host) === (six === undefined ? 4 : 6);
  return isAddress && port <= 65_535 ? { kind: "tcp", host, port } : undefined;
}

/** Whether what is said there stays on this machine, so that it may go without TLS. */
export function isLocal(address: ListenAddress): boolean {
  return address.kind === "unix" || isLoopback(address.host);
}

/** Whether an address is this machine's own. */
export function isLoopback(address: string): boolean {
  return address === "::1" || /^(::ffff:)?127\./.test(address);
}

/** As `parseListenAddress` reads it. */
export function listenAddressText(address: ListenAddress): string {
  if (address.kind === "unix") return `unix:${address.path}`;
  const { host, port } = address;
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

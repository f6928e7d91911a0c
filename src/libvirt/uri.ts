import { LibvirtConnectionError } from "./error.ts";

/** Where a libvirt daemon may listen, and what to ask it to open. */
export type Target = {
  /** The URI as libvirt's daemon takes it: without our query. */
  readonly name: string;
  /** Sockets to try, in this order. */
  readonly sockets: readonly string[];
};

/** What the answer depends on besides the URI. */
export type Surroundings = {
  /** Numeric user id of this process. */
  readonly userId: number;
  /** Folder of the user's sockets, $XDG_RUNTIME_DIR; default `/run/user/<userId>`. */
  readonly runtimeFolder?: string | undefined;
};

const SYSTEM_FOLDER = "/run/libvirt";

/** The socket that each driver's own daemon has where libvirt is split up, see https://libvirt.org/daemons.html. */
const MODULAR_SOCKET = { qemu: "virtqemud-sock", network: "virtnetworkd-sock", test: undefined };

/** The socket of the one daemon for everything, and of the proxy that stands in for it. */
const MONOLITHIC_SOCKET = "libvirt-sock";

const URI = /^(qemu|network|test):\/\/\/(system|session|default)(?:\?socket=([^&#]+))?$/;

/**
 * Understands `qemu:///system`, `qemu:///session`, `network:///system`, `network:///session` and `test:///default`, each
 * with an optional `?socket=PATH` (absolute, percent-encoded where needed). Throws LibvirtConnectionError for anything
 * else. As with libvirt's own client, root's session is at the system's sockets, and the daemon of the driver is tried before
 * the one for everything. The driver's daemon passes calls about networks on to the one for networks.
 */
export function parseUri(uri: string, { userId, runtimeFolder }: Surroundings): Target {
  const [, driver, place, socket] = URI.exec(uri) ?? [];
  if (driver === undefined || place === undefined || (driver === "test") !== (place === "default"))
    throw new LibvirtConnectionError(
      "unreachable",
      `${JSON.stringify(uri)} is no libvirt URI of the forms qemu:///system, qemu:///session, test:///default, each with ?socket=PATH`,
    );
  const name = `${driver}:///${place}`;
  if (socket !== undefined) return { name, sockets: [socketPath(socket)] };
  const folder =
    userId === 0 || place === "system"
      ? SYSTEM_FOLDER
      : `${runtimeFolder ?? `/run/user/${userId}`}/libvirt`;
  const modular = MODULAR_SOCKET[driver as keyof typeof MODULAR_SOCKET];
  return {
    name,
    sockets: [modular, MONOLITHIC_SOCKET]
      .filter((file) => file !== undefined)
      .map((file) => `${folder}/${file}`),
  };
}

function socketPath(encoded: string): string {
  let path: string;
  try {
    path = decodeURIComponent(encoded);
  } catch (cause) {
    throw new LibvirtConnectionError(
      "unreachable",
      "the URI's socket is not percent-encoded well",
      {
        cause,
      },
    );
  }
  if (!path.startsWith("/") || path.includes("\0"))
    throw new LibvirtConnectionError("unreachable", "the URI's socket is no absolute path");
  return path;
}

import { Connection } from "./connection.ts";
import { domainInsightCalls } from "./domain-insight.ts";
import { domainPowerCalls } from "./domain-power.ts";
import { domainCalls } from "./domains.ts";
import type { LibvirtEvent } from "./event.ts";
import { hostCalls } from "./host.ts";
import { networkCalls } from "./networks.ts";
import type { Keepalive } from "./pulse.ts";
import { parseUri } from "./uri.ts";

export type LibvirtOptions = {
  /** Gives up connecting; has no effect afterwards. */
  readonly signal?: AbortSignal;
  /** For the first connection and each later one, default 30 s: libvirtd's first probe of QEMU alone can take 12 s. */
  readonly openTimeoutMs?: number;
  /** Deadline of calls that name none, default 30 s; slow calls have 120 s. */
  readonly callTimeoutMs?: number;
  /** How long a call waits at most for a connection that is lost; by default for as long as it may take itself. */
  readonly linkTimeoutMs?: number;
  /** Calls on the wire at once, default 5, which is libvirtd's own `max_client_requests`. More only clog the socket. */
  readonly inFlightMax?: number;
  /** Default: a ping after every 2.5 s of silence, dead when 4 had no answer, so noticed within 15 s. */
  readonly keepalive?: Keepalive;
  /** Longest pause between two attempts to reconnect, default 5 s. */
  readonly backoffMsMax?: number;
  /** $XDG_RUNTIME_DIR, for `qemu:///session`; default `/run/user/<user id>`. */
  readonly runtimeFolder?: string;
};

/**
 * Connects to a libvirt daemon by URI (see `parseUri`). Tries each socket once; throws LibvirtConnectionError that names
 * them when none takes us. From then on lost connections are remade for ever.
 */
export async function connectLibvirt(uri: string, options: LibvirtOptions = {}): Promise<Libvirt> {
  const userId = process.getuid?.() ?? 0;
  const target = parseUri(uri, { userId, runtimeFolder: options.runtimeFolder });
  options.signal?.throwIfAborted();
  const connection = await Connection.open(
    target,
    {
      openTimeoutMs: options.openTimeoutMs ?? 30_000,
      callTimeoutMs: options.callTimeoutMs ?? 30_000,
      linkTimeoutMs: options.linkTimeoutMs ?? Number.POSITIVE_INFINITY,
      inFlightMax: options.inFlightMax ?? 5,
      keepalive: options.keepalive ?? { intervalMs: 2_500, missedMax: 4 },
      backoffMsMax: options.backoffMsMax ?? 5_000,
    },
    options.signal,
  );
  return new Libvirt(connection);
}

/**
 * One connection to libvirt. Every call takes a deadline and a signal and throws
 *
 * - LibvirtError: libvirt answered no, with its code;
 * - LibvirtTimeoutError: no answer in time, and libvirt may still do it when `maybeDone`;
 * - LibvirtConnectionError: the connection died under the call (`maybeDone`), or there was none until the deadline;
 * - XdrError: an argument that the protocol cannot carry, such as a name with a NUL;
 * - the signal's own reason.
 *
 * Calls that wait for libvirt never hold up other connections: use separate ones for what blocks (statistics, starting).
 */
export class Libvirt implements AsyncDisposable {
  readonly domains;
  readonly networks;
  readonly host;
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.domains = {
      ...domainCalls(connection),
      ...domainPowerCalls(connection),
      ...domainInsightCalls(connection),
    };
    this.networks = networkCalls(connection);
    this.host = hostCalls(connection);
  }

  /**
   * What happens to all domains, from `connected`, its first event, on. Goes on over lost connections, which it tells: after
   * `reconnected` and `overflow` list the domains and compare, since what was missed is not told again. Ends quietly when
   * `signal` aborts or the connection is closed; throws LibvirtError when libvirt refuses events. Each iteration gets
   * all events.
   */
  events(options: { readonly signal?: AbortSignal } = {}): AsyncIterable<LibvirtEvent> {
    return this.#connection.feed.read(options.signal, this.#connection.closed);
  }

  /** Closes the connection: calls under way reject, iterations end. Twice is safe. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connection[Symbol.asyncDispose]();
  }
}

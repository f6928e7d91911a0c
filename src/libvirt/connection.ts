import { setTimeout as delay } from "node:timers/promises";
import { type CallOptions, type Deadline, deadlineOf, type Order, within } from "./call.ts";
import { dial } from "./dial.ts";
import { LibvirtConnectionError } from "./error.ts";
import { EventFeed } from "./event-feed.ts";
import type { Link } from "./link.ts";
import { PROCEDURE, type Procedure } from "./protocol.ts";
import type { Keepalive } from "./pulse.ts";
import type { Target } from "./uri.ts";

export type ConnectionSettings = {
  readonly openTimeoutMs: number;
  readonly callTimeoutMs: number;
  readonly linkTimeoutMs: number;
  readonly inFlightMax: number;
  readonly keepalive: Keepalive;
  readonly backoffMsMax: number;
};

const BACKOFF_MS_FIRST = 50;

/** A link that lived this long was a good one, and the next reconnect begins quickly again. */
const GOOD_LINK_MS = 10_000;

/** libvirt has nothing to do for a farewell. */
const FAREWELL_TIMEOUT_MS = 1_000;

/**
 * A link that is replaced when it dies:
 *
 *     up --(link dies)--> down --(dial, with backoff, for ever)--> up
 *      '----------------------- dispose --------------------------> closed
 *
 * Calls on the wire reject when the link dies; calls that were not sent, and new ones, wait for the next link until their
 * own deadlines, or for as long as any call may wait for a link. Event readers are registered on a new link before calls go over it.
 */
export class Connection implements AsyncDisposable {
  readonly feed = new EventFeed();
  readonly #target: Target;
  readonly #settings: ConnectionSettings;
  readonly #closing = new AbortController();
  #link: Link | undefined;
  #up = Promise.withResolvers<void>();
  #trouble: unknown;
  #attempts = 0;
  #reconnecting: Promise<void> = Promise.resolve();

  private constructor(target: Target, settings: ConnectionSettings) {
    this.#target = target;
    this.#settings = settings;
    this.#up.promise.catch(() => undefined);
  }

  /** The first link; throws when there is none, without trying again. */
  static async open(
    target: Target,
    settings: ConnectionSettings,
    signal: AbortSignal | undefined,
  ): Promise<Connection> {
    const connection = new Connection(target, settings);
    await connection.#connect(signal);
    return connection;
  }

  /** Aborted once the connection is closed for good. */
  get closed(): AbortSignal {
    return this.#closing.signal;
  }

  /** One call over the link that there is, or will be. */
  async call<A, R>(
    procedure: Procedure<A, R>,
    args: A,
    options: CallOptions | undefined,
  ): Promise<R> {
    return await this.#over((link, deadline) => link.call({ procedure, args }, deadline), options);
  }

  /** One call and the stream that follows it, at most `bytesMax` of that. */
  async download<A, R>(
    order: Order<A, R>,
    bytesMax: number,
    options: CallOptions | undefined,
  ): Promise<{ reply: R; bytes: Buffer }> {
    return await this.#over((link, deadline) => link.download(order, bytesMax, deadline), options);
  }

  /** Closes for good: calls under way reject with `closed`, event readers end. Twice is safe. */
  async [Symbol.asyncDispose](): Promise<void> {
    const isFirst = !this.#closing.signal.aborted;
    const error = new LibvirtConnectionError(
      "closed",
      "the connection to libvirt was closed by us",
    );
    if (isFirst) this.#closing.abort(error);
    this.#up.reject(error);
    if (isFirst && this.#link?.isIdle) await sayFarewell(this.#link);
    this.#link?.close(error);
    await this.#reconnecting;
  }

  async #over<R>(
    go: (link: Link, deadline: Deadline) => Promise<R>,
    options: CallOptions | undefined,
  ): Promise<R> {
    const deadline = deadlineOf(options, this.#settings.callTimeoutMs);
    for (;;) {
      this.#closing.signal.throwIfAborted();
      deadline.signal?.throwIfAborted();
      if (this.#link === undefined) await this.#linked(deadline);
      if (this.#link === undefined) continue;
      try {
        return await go(this.#link, deadline);
      } catch (error) {
        if (!isSafeToRepeat(error)) throw error;
      }
    }
  }

  async #linked(deadline: Deadline): Promise<void> {
    const atMs = Math.min(deadline.atMs, performance.now() + this.#settings.linkTimeoutMs);
    await within(this.#up.promise, { ...deadline, atMs }, () => this.#noLink());
  }

  #noLink(): LibvirtConnectionError {
    const why = this.#trouble instanceof Error ? `: ${this.#trouble.message}` : "";
    return new LibvirtConnectionError("lost", `there is no connection to libvirt${why}`, {
      cause: this.#trouble,
    });
  }

  async #connect(signal: AbortSignal | undefined): Promise<void> {
    const { inFlightMax, keepalive, openTimeoutMs } = this.#settings;
    const deadline = deadlineOf({ signal }, openTimeoutMs);
    const bornMs = performance.now();
    let link: Link | undefined;
    link = await dial(
      this.#target,
      {
        inFlightMax,
        keepalive,
        onEvent: (frame) => this.feed.take(frame),
        onDown: (error) => {
          if (link === undefined || this.#link !== link) return;
          if (performance.now() - bornMs > GOOD_LINK_MS) this.#attempts = 0;
          this.#lose(error);
        },
      },
      deadline,
    );
    try {
      await this.feed.attach(link);
      signal?.throwIfAborted();
      link.assertUp();
    } catch (cause) {
      const error = new LibvirtConnectionError("lost", "the connection broke at once", { cause });
      link.close(error);
      this.feed.detach(error);
      throw cause;
    }
    this.#link = link;
    this.#up.resolve();
  }

  #lose(error: LibvirtConnectionError): void {
    this.#link = undefined;
    this.#trouble = error;
    this.feed.detach(error);
    if (this.closed.aborted) return;
    this.#up = Promise.withResolvers();
    this.#up.promise.catch(() => undefined);
    this.#reconnecting = this.#reconnect();
  }

  async #reconnect(): Promise<void> {
    while (!this.closed.aborted) {
      try {
        await delay(this.#nextDelayMs(), undefined, { signal: this.closed });
        return await this.#connect(this.closed);
      } catch (error) {
        this.#trouble = error;
      }
    }
  }

  /** Doubles from 50 ms to the limit; the jitter keeps several connections of one process apart. */
  #nextDelayMs(): number {
    const fullMs = Math.min(BACKOFF_MS_FIRST * 2 ** this.#attempts, this.#settings.backoffMsMax);
    this.#attempts = Math.min(this.#attempts + 1, 20);
    return fullMs * (0.5 + Math.random() / 2);
  }
}

/** Only what never left us: anything else might be done twice. */
function isSafeToRepeat(error: unknown): boolean {
  if (!(error instanceof LibvirtConnectionError) || error.maybeDone) return false;
  return error.trouble === "lost" || error.trouble === "protocol";
}

async function sayFarewell(link: Link): Promise<void> {
  const order = { procedure: PROCEDURE.connectClose, args: undefined };
  await link.call(order, deadlineOf(undefined, FAREWELL_TIMEOUT_MS)).catch(() => undefined);
}

import { Fault } from "#job/fault.ts";
import { deadline, untilAborted } from "#lib/deadline.ts";
import { connectLibvirt, type Libvirt } from "#libvirt/client.ts";
import type { LibvirtEvent } from "#libvirt/event.ts";
import { translating } from "./libvirt-fault.ts";

/** Calls that wait for nothing but libvirt itself: a longer silence is an outage, and says so. */
const CALL_MS = 15_000;

/** libvirtd's first look at QEMU alone can take 12 s; who waits meanwhile is told after `CALL_MS` and may ask again. */
const OPEN_MS = 30_000;

/** A socket of this host costs nothing to try, and a machine that died meanwhile is known to have only when libvirt is back. */
const BACKOFF_MS_MAX = 1_000;

/**
 * The connections to one libvirt. Two, since a connection has room for five calls and starting a machine can hold one for
 * long: the first starts and stops machines, the second hears events and reads. Both are made at first need, and remade
 * for ever once they were made.
 */
export class LibvirtConnections implements AsyncDisposable {
  readonly #uri: string;
  readonly #onEvent: (event: LibvirtEvent) => void;
  readonly #closing = new AbortController();
  #lifecycle: Promise<Libvirt> | undefined;
  #listening: Promise<Libvirt> | undefined;
  #hearing: Promise<void> | undefined;

  /** `onEvent` hears of everything from the moment that `read` has returned the first time. */
  constructor(uri: string, onEvent: (event: LibvirtEvent) => void) {
    this.#uri = uri;
    this.#onEvent = onEvent;
  }

  /** Where machines are started and stopped. Throws libvirt-unreachable within 15 s, or the signal's reason. */
  async call(signal: AbortSignal): Promise<Libvirt> {
    this.#lifecycle ??= this.open().catch((error: unknown) => {
      this.#lifecycle = undefined;
      throw error;
    });
    return await this.#inTime(this.#lifecycle, signal);
  }

  /** Where it is looked and listened; events flow. Throws libvirt-unreachable within 15 s, or the signal's reason. */
  async read(signal: AbortSignal): Promise<Libvirt> {
    this.#listening ??= this.#listen().catch((error: unknown) => {
      this.#listening = undefined;
      throw error;
    });
    return await this.#inTime(this.#listening, signal);
  }

  /** A connection of the caller's own, for a question that may never be answered. Throws libvirt-unreachable. */
  async open(openTimeoutMs = OPEN_MS): Promise<Libvirt> {
    const context = { doing: `libvirt at ${this.#uri}`, refused: "libvirt-unreachable" } as const;
    const options = {
      signal: this.#closing.signal,
      openTimeoutMs,
      callTimeoutMs: CALL_MS,
      linkTimeoutMs: CALL_MS,
      backoffMsMax: BACKOFF_MS_MAX,
    };
    return await translating(context, () => connectLibvirt(this.#uri, options));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new Fault("libvirt-unreachable", "the connections to libvirt are closed"));
    const open = await Promise.allSettled([this.#lifecycle, this.#listening]);
    await Promise.all(
      open.map(async (connection) => {
        if (connection.status === "fulfilled") await connection.value?.[Symbol.asyncDispose]();
      }),
    );
    await this.#hearing;
  }

  async #listen(): Promise<Libvirt> {
    const libvirt = await this.open();
    const events = libvirt.events({ signal: this.#closing.signal });
    const reader = events[Symbol.asyncIterator]();
    try {
      // Whatever happens to a machine from here on is told, so that looking at it now misses nothing.
      const context = { doing: "to tell what happens", refused: "libvirt-unreachable" } as const;
      await translating(context, () => reader.next());
    } catch (error) {
      await libvirt[Symbol.asyncDispose]();
      throw error;
    }
    this.#hearing = this.#hear(reader);
    return libvirt;
  }

  async #hear(reader: AsyncIterator<LibvirtEvent>): Promise<void> {
    for (let next = await reader.next(); next.done !== true; next = await reader.next())
      this.#onEvent(next.value);
  }

  async #inTime(connection: Promise<Libvirt>, signal: AbortSignal): Promise<Libvirt> {
    using limit = deadline(
      CALL_MS,
      () => new Fault("libvirt-unreachable", `libvirt at ${this.#uri} has not answered yet`),
    );
    return await untilAborted(AbortSignal.any([signal, limit.signal]), connection);
  }
}

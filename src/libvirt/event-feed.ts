import { deadlineOf } from "./call.ts";
import type { LibvirtConnectionError } from "./error.ts";
import { type DomainEvent, type LibvirtEvent, readEvent } from "./event.ts";
import { EventQueue } from "./event-queue.ts";
import type { Frame } from "./frame.ts";
import type { Link } from "./link.ts";
import { DOMAIN_EVENT, PROCEDURE } from "./protocol.ts";

/** Asking for events is quick; libvirtd only notes it down. */
const REGISTER_TIMEOUT_MS = 15_000;

/**
 * All readers of one connection's events. libvirt is asked for them once per link, when there is a reader; from then on
 * every reader gets every event.
 */
export class EventFeed {
  /** Only what flows gets events: whatever happens before the marker is seen by the listing after it. */
  readonly #readers = new Map<EventQueue, "new" | "flowing" | "cut">();
  #link: Link | undefined;
  #registration: Promise<void> | undefined;

  /** A new link is up. Resolves when events flow on it again, rejects when libvirt refuses them. */
  async attach(link: Link): Promise<void> {
    this.#link = link;
    this.#registration = undefined;
    if (this.#readers.size > 0) await this.#register(link);
  }

  /** The link is no more, or was never good. */
  detach(error: LibvirtConnectionError): void {
    this.#link = undefined;
    this.#registration = undefined;
    for (const [queue, state] of this.#readers) {
      if (state !== "flowing") continue;
      queue.push({ kind: "disconnected", error });
      this.#readers.set(queue, "cut");
    }
  }

  /** An event message came. Throws for one that is broken. */
  take(frame: Frame): void {
    const event: DomainEvent = readEvent(frame);
    for (const [queue, state] of this.#readers) if (state === "flowing") queue.push(event);
  }

  /** The events from now on, until one of the signals aborts. Throws LibvirtError when libvirt refuses them. */
  async *read(...ends: readonly (AbortSignal | undefined)[]): AsyncGenerator<LibvirtEvent> {
    const signals = ends.filter((signal) => signal !== undefined);
    const queue = new EventQueue();
    const wake = () => queue.wake();
    for (const signal of signals) signal.addEventListener("abort", wake);
    this.#readers.set(queue, "new");
    try {
      await this.#join();
      while (!signals.some(({ aborted }) => aborted)) {
        const event = queue.take();
        if (event !== undefined) yield event;
        else await queue.arrival();
      }
    } finally {
      this.#readers.delete(queue);
      for (const signal of signals) signal.removeEventListener("abort", wake);
    }
  }

  async #join(): Promise<void> {
    const link = this.#link;
    if (link === undefined) return;
    try {
      await this.#register(link);
    } catch (error) {
      // A link that died meanwhile is replaced, and the new one registers this reader.
      if (link === this.#link) throw error;
    }
  }

  async #register(link: Link): Promise<void> {
    const registration = this.#registration ?? register(link);
    this.#registration = registration;
    try {
      await registration;
    } catch (error) {
      if (this.#registration === registration) this.#registration = undefined;
      throw error;
    }
    if (link !== this.#link) return;
    for (const [queue, state] of this.#readers) {
      if (state === "flowing") continue;
      queue.push({ kind: state === "new" ? "connected" : "reconnected" });
      this.#readers.set(queue, "flowing");
    }
  }
}

async function register(link: Link): Promise<void> {
  const deadline = deadlineOf(undefined, REGISTER_TIMEOUT_MS);
  const procedure = PROCEDURE.connectDomainEventCallbackRegisterAny;
  await Promise.all(
    Object.values(DOMAIN_EVENT).map(({ event }) =>
      link.call({ procedure, args: { event, domain: undefined } }, deadline),
    ),
  );
}

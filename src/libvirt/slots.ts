import type { Download } from "./download.ts";
import { LibvirtConnectionError } from "./error.ts";
import type { AnyCall, Flight } from "./flight.ts";

/** More calls than this waiting for a slot are a mistake of the caller, not load. */
const WAITING_MAX = 1_024;

const SERIAL_MAX = 0xffff_ffff;

/**
 * Calls that wait and calls that are on the wire. libvirtd reads no further than its `max_client_requests` (5 unless
 * configured), so a sixth call sent would only sit in the socket, and every ping behind it.
 */
export class Slots {
  readonly max: number;
  readonly #waiting = new Map<AnyCall, Download | undefined>();
  readonly #flights = new Map<number, Flight>();
  #serial = 0;

  constructor(max: number) {
    this.max = max;
  }

  /** Throws LibvirtConnectionError when too many calls wait to let another one join. */
  refuseWhenCrowded(): void {
    if (this.#waiting.size >= WAITING_MAX)
      throw new LibvirtConnectionError(
        "overloaded",
        `${WAITING_MAX} calls wait for libvirt already`,
      );
  }

  wait(call: AnyCall, download: Download | undefined): void {
    this.#waiting.set(call, download);
  }

  /** The next call to send, now in a slot; undefined when none waits or no slot is free. */
  next(): Flight | undefined {
    if (this.#flights.size >= this.max) return undefined;
    for (const [call, download] of this.#waiting) {
      this.#waiting.delete(call);
      this.#serial = (this.#serial % SERIAL_MAX) + 1;
      const flight = {
        serial: this.#serial,
        call,
        download,
        reply: undefined,
        isStreamOver: false,
      };
      call.isSent = true;
      this.#flights.set(flight.serial, flight);
      return flight;
    }
    return undefined;
  }

  get isEmpty(): boolean {
    return this.#waiting.size === 0 && this.#flights.size === 0;
  }

  find(serial: number): Flight | undefined {
    return this.#flights.get(serial);
  }

  /** The flight of a call that nobody waits for any more; undefined when it was never sent, and then it never will. */
  giveUp(call: AnyCall): Flight | undefined {
    if (this.#waiting.delete(call)) return undefined;
    return [...this.#flights.values()].find((flight) => flight.call === call);
  }

  free({ serial }: Flight): void {
    this.#flights.delete(serial);
  }

  /** How many slots are taken, and how many of those by calls that nobody waits for. */
  get taken(): { readonly taken: number; readonly abandoned: number; readonly max: number } {
    const abandoned = [...this.#flights.values()].filter(({ call }) => call.isOver).length;
    return { taken: this.#flights.size, abandoned, max: this.max };
  }

  /** Fails everything: what was sent may have been done, what was not sent was not. */
  failAll({ trouble, message, cause }: LibvirtConnectionError): void {
    const flying = Array.from(this.#flights.values(), ({ call }) => call);
    const calls = [...flying, ...this.#waiting.keys()];
    this.#waiting.clear();
    this.#flights.clear();
    for (const call of calls)
      call.fail(new LibvirtConnectionError(trouble, message, { cause, maybeDone: call.isSent }));
  }
}

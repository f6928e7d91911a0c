import type { House } from "#host/runner/ports.ts";
import type { Log } from "#lib/log.ts";
import { neighboursMiB } from "./neighbours.ts";

/** libvirt lists machines in a moment; one that takes so long starts none either. */
const LIBVIRT_MS = 10_000;

/** What libvirt was like when it was asked last: a host whose libvirt is away would take one job after the other, and break them all. */
export class LibvirtWatch {
  readonly #house: House;
  readonly #log: Log;
  #trouble: string | undefined;
  #neighboursMiB = 0;

  constructor(house: House, log: Log) {
    this.#house = house;
    this.#log = log;
  }

  /** What is wrong with it; undefined when nothing is, or when nobody has looked yet. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  /** What machines that others made here take; see `neighboursMiB`. */
  get neighboursMiB(): number {
    return this.#neighboursMiB;
  }

  /** Asks it. Before each offer; throws nothing. */
  async look(): Promise<void> {
    const before = this.#trouble;
    try {
      const signal = AbortSignal.timeout(LIBVIRT_MS);
      this.#neighboursMiB = await neighboursMiB(this.#house, signal).catch((error: unknown) => {
        throw signal.aborted ? new Error(`no answer within ${LIBVIRT_MS / 1000} s`) : error;
      });
      this.#trouble = undefined;
      if (before !== undefined) this.#log.info("libvirt answers again", {});
    } catch (error) {
      this.#trouble = `libvirt does not list its machines: ${(error as Error).message}`;
      if (before === undefined) this.#log.warn("no work is taken while libvirt is away", { error });
    }
  }
}

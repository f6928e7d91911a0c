import { Bell } from "#lib/bell.ts";
import { type LogFile, NotTaken, type Uplink } from "./ports.ts";

/** What is printed within this time travels together. */
const GATHER_MS = 100;

/** Looked at even when nobody rang. */
const LOOK_AGAIN_MS = 5_000;

/** Brings the logs of an attempt to the service while it runs. A service that is away makes it wait, and nothing else. */
export class LogCourier implements AsyncDisposable {
  readonly #uplink: Uplink;
  readonly #lease: string;
  readonly #closing = new AbortController();
  readonly #bell = new Bell();
  readonly #work: Promise<void>;
  #logs: readonly LogFile[];

  constructor(uplink: Uplink, lease: string, logs: readonly LogFile[]) {
    this.#uplink = uplink;
    this.#lease = lease;
    this.#logs = logs;
    this.#work = this.#carry().catch(() => undefined);
  }

  /** There is more in one of the logs. */
  readonly ring = (): void => this.#bell.ring();

  /** Stops where it is; what is not sent yet is for `deliver`. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new Error("the attempt is over"));
    await this.#work;
  }

  async #carry(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      await this.#bell.heard(LOOK_AGAIN_MS, signal);
      await new Bell().heard(GATHER_MS, signal);
      for (const log of this.#logs) {
        if (signal.aborted) return;
        await this.#uplink.sendLog(this.#lease, log, signal).catch((error: unknown) => {
          // Not this log any more; a lease that is lost ends the attempt by its renewal.
          if (!(error instanceof NotTaken)) throw error;
          this.#logs = this.#logs.filter((other) => other !== log);
        });
      }
    }
  }
}

import { Ended } from "#job/verdict.ts";
import { Bell } from "#lib/bell.ts";
import { type Grant, type RenewRequest, WAIT_SECONDS_MAX } from "#protocol/lease.ts";
import { Fenced, type Uplink } from "./ports.ts";

/** What the service does not have yet is not counted: it asks for nothing but an order of size, and the logs follow within a second. */
const SPOOLED = { logBytes: 0, artifactBytes: 0 } as const;

/** A renewal that was to be held and is answered at once, by a service that stops or does not hold, is not repeated sooner. */
const AGAIN_MS = 1_000;

/**
 * A lease that is held: renewed at each phase, and by one request that the service holds until somebody cancels the job or a third
 * of the lease's length is over. A service that does not answer changes nothing: the attempt goes on, and hears when the service is
 * back. Disposing stops the renewals; twice is safe.
 */
export class HeldLease implements Disposable {
  readonly #uplink: Uplink;
  readonly #grant: Grant;
  readonly #closing = new AbortController();
  readonly #over = new AbortController();
  readonly #moved = new Bell();
  #phase: RenewRequest["phase"];
  #image: RenewRequest["image"];
  #isLost = false;

  constructor(uplink: Uplink, grant: Grant, phase: RenewRequest["phase"] = "leased") {
    this.#uplink = uplink;
    this.#grant = grant;
    this.#phase = phase;
    void this.#listen();
    void this.#tellMoves();
  }

  /** Aborts when the attempt is to end: somebody cancelled the job, or the lease was lost. The reason is an `Ended`. */
  get over(): AbortSignal {
    return this.#over.signal;
  }

  /** Where the attempt is now. */
  get phase(): RenewRequest["phase"] {
    return this.#phase;
  }

  /** The attempt goes to another phase. */
  enter(phase: RenewRequest["phase"]): void {
    this.#phase = phase;
    this.#moved.ring();
  }

  /** The image that the attempt runs from is known. */
  runsFrom(image: NonNullable<RenewRequest["image"]>): void {
    this.#image = image;
    this.#moved.ring();
  }

  [Symbol.dispose](): void {
    this.#closing.abort(CLOSED);
  }

  async #listen(): Promise<void> {
    const third = Math.floor(this.#grant.lengthSeconds / 3);
    const waitSeconds = Math.max(1, Math.min(third, WAIT_SECONDS_MAX));
    while (!this.#isDone) {
      const askedMs = performance.now();
      await this.#renew({ waitSeconds });
      await this.#pause(askedMs + AGAIN_MS - performance.now());
    }
  }

  async #tellMoves(): Promise<void> {
    for (;;) {
      await this.#moved.heard(Number.MAX_SAFE_INTEGER, this.#closing.signal);
      if (this.#isDone) return;
      await this.#renew({});
    }
  }

  get #isDone(): boolean {
    return this.#closing.signal.aborted || this.#isLost;
  }

  async #renew(more: { readonly waitSeconds?: number }): Promise<void> {
    const image = this.#image === undefined ? {} : { image: this.#image };
    const request = { phase: this.#phase, spooled: SPOOLED, ...image, ...more };
    const { signal } = this.#closing;
    try {
      const { cancel } = await this.#uplink.renew(this.#grant.lease, request, signal);
      if (cancel === undefined) return;
      this.#over.abort(new Ended("cancelled", cancel));
      // The service answers a cancelled lease at once; nothing more is to be heard of it but that it is fenced.
      if (more.waitSeconds !== undefined) await this.#pause(more.waitSeconds * 1000);
    } catch (error) {
      // Whatever else a service has against a renewal: the attempt goes on until the lease is really lost.
      if (signal.aborted || !(error instanceof Fenced)) return;
      this.#isLost = true;
      this.#over.abort(new Ended("cancelled", `the lease is lost: ${(error as Error).message}`));
    }
  }

  async #pause(ms: number): Promise<void> {
    await new Bell().heard(ms, this.#closing.signal);
  }
}

const CLOSED = new Error("the lease is not held any more");

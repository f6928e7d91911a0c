/** Time as somebody sees it who compares both clocks. */
type Clocks = { monotonicMs(): number; wallMs(): number };

/** A wall clock that goes otherwise than the monotonic one by more than this has jumped. */
const JUMP_MS = 60_000;

/**
 * Whether the wall clock has been steady for a while: not right after a start, and not after it jumped. A clock that is wrong until it
 * hears of the right time makes everything look old, and that should cost nobody their results.
 */
export class Steadiness {
  readonly #clocks: Clocks;
  readonly #holdMs: number;
  #steadyFromMs: number;
  #offsetMs: number;

  constructor(clocks: Clocks, holdMs: number) {
    this.#clocks = clocks;
    this.#holdMs = holdMs;
    this.#steadyFromMs = clocks.monotonicMs() + holdMs;
    this.#offsetMs = this.#offsetNowMs();
  }

  /** To be asked about as often as a jump should be seen. */
  isSteady(): boolean {
    const nowMs = this.#clocks.monotonicMs();
    if (Math.abs(this.#offsetNowMs() - this.#offsetMs) > JUMP_MS) {
      this.#offsetMs = this.#offsetNowMs();
      this.#steadyFromMs = nowMs + this.#holdMs;
    }
    return nowMs >= this.#steadyFromMs;
  }

  #offsetNowMs(): number {
    return this.#clocks.wallMs() - this.#clocks.monotonicMs();
  }
}

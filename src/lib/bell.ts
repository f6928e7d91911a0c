import { TIMER_MS_MAX } from "./deadline.ts";

/** Waits for something to happen that may have happened already. One waits, many ring. */
export class Bell {
  #hasRung = false;
  #wake: (() => void) | undefined;

  /** To be handed out as a listener. */
  readonly ring = (): void => {
    this.#hasRung = true;
    this.#wake?.();
  };

  /** Returns when the bell rang since the last call, after `ms`, or when `signal` aborts. */
  async heard(ms: number, signal: AbortSignal): Promise<void> {
    if (!this.#hasRung && !signal.aborted && ms > 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      const timer = setTimeout(resolve, Math.min(ms, TIMER_MS_MAX));
      signal.addEventListener("abort", this.#end, { once: true });
      await promise;
      clearTimeout(timer);
      signal.removeEventListener("abort", this.#end);
      this.#wake = undefined;
    }
    this.#hasRung = false;
  }

  readonly #end = (): void => this.#wake?.();
}

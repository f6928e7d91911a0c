/** A signal that aborts when nothing has moved for a while, or when the caller's does. */
export class Stall implements Disposable {
  readonly signal: AbortSignal;
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout;

  /** `reason` is made when it happens. */
  constructor(ms: number, callerSignal: AbortSignal, reason: () => Error) {
    this.#timer = setTimeout(() => this.#controller.abort(reason()), ms).unref();
    this.signal = AbortSignal.any([callerSignal, this.#controller.signal]);
  }

  /** True when it was the standstill that aborted. */
  get isStalled(): boolean {
    return this.#controller.signal.aborted;
  }

  /** Something moved. */
  moved(): void {
    if (!this.isStalled) this.#timer.refresh();
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}

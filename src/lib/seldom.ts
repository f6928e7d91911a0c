/** Lets the same thing be said once in a while, and counts what was not said. Keeps a bounded number of keys. */
export class Seldom {
  readonly #everyMs: number;
  readonly #keysMax: number;
  readonly #said = new Map<string, { atMs: number; unsaid: number }>();

  constructor(everyMs: number, keysMax: number) {
    this.#everyMs = everyMs;
    this.#keysMax = keysMax;
  }

  /** How often `key` was not said since it was said last, when it may be said now; else undefined, and that was counted. */
  take(key: string, nowMs = performance.now()): number | undefined {
    const last = this.#said.get(key);
    if (last !== undefined && nowMs - last.atMs < this.#everyMs) {
      last.unsaid += 1;
      return undefined;
    }
    // A flood of keys makes the oldest forgotten, so that they may be said again too early: no more than that.
    this.#said.delete(key);
    const [oldest] = this.#said.keys();
    if (this.#said.size >= this.#keysMax && oldest !== undefined) this.#said.delete(oldest);
    this.#said.set(key, { atMs: nowMs, unsaid: 0 });
    return last?.unsaid ?? 0;
  }
}

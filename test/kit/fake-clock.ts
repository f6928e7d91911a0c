import type { Clock } from "#service/ports.ts";

/** A clock that stands still until it is told to go on. */
export class FakeClock implements Clock {
  #ms = 1_000_000;
  #jumpedMs = 0;

  monotonicMs(): number {
    return this.#ms;
  }

  /** 2030, so that nobody takes it for now. */
  wallMs(): number {
    return Date.UTC(2030, 0, 2) + this.#ms + this.#jumpedMs;
  }

  advance(seconds: number): void {
    this.#ms += seconds * 1000;
  }

  /** The wall clock alone is set to another time. */
  jump(seconds: number): void {
    this.#jumpedMs += seconds * 1000;
  }
}

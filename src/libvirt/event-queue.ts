import type { LibvirtEvent } from "./event.ts";

/** More unread events than this mean a reader that hangs; a host with 100 machines makes a dozen per job. */
export const EVENTS_MAX = 4_096;

/**
 * The events that one reader has not read yet. Full, it drops the oldest and says how many with an `overflow` event in their
 * place; it never makes anybody wait.
 */
export class EventQueue {
  readonly #events: LibvirtEvent[] = [];
  #dropped = 0;
  #wake: (() => void) | undefined;

  push(event: LibvirtEvent): void {
    this.#events.push(event);
    if (this.#events.length > EVENTS_MAX) {
      this.#events.shift();
      this.#dropped += 1;
    }
    this.#wake?.();
  }

  /** The next event, or undefined when there is none now. */
  take(): LibvirtEvent | undefined {
    if (this.#dropped > 0) {
      const dropped = this.#dropped;
      this.#dropped = 0;
      return { kind: "overflow", dropped };
    }
    return this.#events.shift();
  }

  /** Resolves at the next push. One reader only. */
  arrival(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    return promise;
  }

  /** Makes `arrival` resolve now. */
  wake(): void {
    this.#wake?.();
  }
}

import { setTimeout as delay } from "node:timers/promises";
import { NoAnswer } from "#lib/http-client.ts";
import { printable } from "#lib/printable.ts";
import { secondsInWords } from "#lib/words.ts";
import { Refused } from "#protocol/refused.ts";

/** Hears when the service is gone for a while. */
export type PatienceTeller = {
  gone(why: string): void;
  back(afterSeconds: number): void;
};

/** Time as patience sees it. */
export type PatienceClock = {
  nowMs(): number;
  /** Rejects when the signal aborts. */
  wait(ms: number, signal: AbortSignal): Promise<void>;
};

const REAL_CLOCK: PatienceClock = {
  nowMs: () => performance.now(),
  wait: (ms, signal) => delay(ms, undefined, { signal }),
};

/** What people are told when the service is gone, and when it is back. */
export const PATIENCE_WORDS = {
  gone: (why: string) => `waiting for the job service: ${printable(why)}`,
  back: (seconds: number) => `the job service answers again after ${secondsInWords(seconds)}`,
} as const;

/** From one try to the next; then the last one again and again. */
const PAUSES_MS = [500, 1000, 2000, 4000, 8000] as const;
const JITTER = 0.2;
/** A service may ask for longer pauses, but not for any. */
const RETRY_AFTER_MS_MAX = 60_000;

/** A service that is away for so long is not coming back by itself. */
const PATIENCE_MS = 30 * 60_000;

/**
 * Sits out a service that restarts and a network that is dead. Only once it has answered: an address where nobody ever
 * answered is told at once. What is asked must be safe to ask twice.
 */
export class Patience {
  readonly #teller: PatienceTeller;
  readonly #signal: AbortSignal;
  readonly #clock: PatienceClock;
  #hasAnswered = false;
  #goneSinceMs: number | undefined;

  constructor(teller: PatienceTeller, signal: AbortSignal, clock: PatienceClock = REAL_CLOCK) {
    this.#teller = teller;
    this.#signal = signal;
    this.#clock = clock;
  }

  /** What the service answers, sooner or later. Throws what is no passing trouble, the signal's reason, or the trouble after `PATIENCE_MS`. */
  async until<T>(ask: () => Promise<T>): Promise<T> {
    for (let tries = 0; ; tries += 1) {
      const askedMs = this.#clock.nowMs();
      try {
        const answer = await ask();
        this.#answered();
        return answer;
      } catch (error) {
        await this.sitOut(error, tries, askedMs);
      }
    }
  }

  /** Waits after the trouble `error`, longer with each of `tries`; throws it when waiting is of no use. It began at `sinceMs`. */
  async sitOut(error: unknown, tries: number, sinceMs = this.#clock.nowMs()): Promise<void> {
    this.#signal.throwIfAborted();
    // Room on its disk is made by people, who must hear of it.
    const isBusy = error instanceof Refused && error.isPassing && error.slug !== "full";
    this.#hasAnswered ||= error instanceof Refused;
    const isPassing = isBusy || error instanceof NoAnswer;
    if (!isPassing || !this.#hasAnswered) throw error;
    if (this.#goneSinceMs === undefined) {
      this.#goneSinceMs = sinceMs;
      this.#teller.gone(error.message);
    }
    if (this.#clock.nowMs() - this.#goneSinceMs > PATIENCE_MS) throw error;
    const wishMs = (error instanceof Refused ? (error.retryAfterSeconds ?? 0) : 0) * 1000;
    await this.pause(tries, Math.min(wishMs, RETRY_AFTER_MS_MAX));
  }

  /** The pause that comes after so many tries, or `leastMs`. */
  async pause(tries: number, leastMs = 0): Promise<void> {
    this.#signal.throwIfAborted();
    const pauseMs = PAUSES_MS[Math.min(tries, PAUSES_MS.length - 1)] ?? 0;
    const jitter = 1 + JITTER * (2 * Math.random() - 1);
    await this.#clock.wait(Math.max(pauseMs * jitter, leastMs), this.#signal);
  }

  #answered(): void {
    this.#hasAnswered = true;
    if (this.#goneSinceMs === undefined) return;
    const seconds = Math.round((this.#clock.nowMs() - this.#goneSinceMs) / 1000);
    this.#goneSinceMs = undefined;
    this.#teller.back(seconds);
  }
}

/** What reading an answer throws, as the trouble that it is. */
export function asLost(error: unknown): unknown {
  if (error instanceof NoAnswer || error instanceof Refused) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return new NoAnswer(`the connection broke: ${reason}`, { cause: error });
}

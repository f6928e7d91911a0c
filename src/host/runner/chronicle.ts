import type { Phase } from "#job/phase.ts";
import { isLegalMove } from "#job/phase.ts";
import type { StepResult, Verdict } from "#job/verdict.ts";
import type { AttemptReport, Listener } from "./attempt.ts";

type Draft = {
  -readonly [Key in keyof Omit<AttemptReport, "verdict" | "phases">]: AttemptReport[Key];
} & { readonly steps: StepResult[] };

/** What there is to say of an attempt that did nothing yet. */
export function nothingYet(): Draft {
  return {
    steps: [],
    artifacts: [],
    refused: [],
    image: undefined,
    acceleration: undefined,
    machine: undefined,
    kept: undefined,
    leaks: [],
    marksMs: {},
  };
}

/**
 * What is known of an attempt so far: phases with their times, and the report that grows as things become known. The
 * only place that changes the phase; an illegal move is a bug and throws.
 */
export class Chronicle {
  readonly draft: Draft;
  readonly #listener: Listener;
  readonly #phases: { phase: Phase; durationMs: number }[] = [];
  #phase: Phase = "leased";
  #sinceMs = performance.now();

  constructor(listener: Listener) {
    this.#listener = listener;
    this.draft = nothingYet();
    listener.enter("leased");
  }

  get phase(): Phase {
    return this.#phase;
  }

  /** Goes to the next phase. */
  enter(phase: Phase): void {
    if (!isLegalMove(this.#phase, phase)) throw new Error(`no way from ${this.#phase} to ${phase}`);
    this.#close();
    this.#phase = phase;
    this.#listener.enter(phase);
  }

  /** Notes when something happened, in milliseconds since `sinceMs` on the monotonic clock. */
  mark(name: string, sinceMs: number): void {
    this.draft.marksMs = { ...this.draft.marksMs, [name]: Math.round(performance.now() - sinceMs) };
  }

  /** Notes evidence that could not be had. */
  missing(what: string, error: unknown): void {
    this.#listener.progress(
      `no ${what}: ${error instanceof Error ? error.message : String(error)}`,
    );
  }

  /** Notes something that teardown left behind. */
  leak(what: string, error: unknown): void {
    this.draft.leaks = [...this.draft.leaks, what];
    this.#listener.leak(what, error);
  }

  /** The report. The verdict was settled before teardown and nothing after it changes it. */
  report(verdict: Verdict): AttemptReport {
    this.#close();
    return { verdict, phases: this.#phases, ...this.draft };
  }

  #close(): void {
    const nowMs = performance.now();
    this.#phases.push({ phase: this.#phase, durationMs: Math.round(nowMs - this.#sinceMs) });
    this.#sinceMs = nowMs;
  }
}

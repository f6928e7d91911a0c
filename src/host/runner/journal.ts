import type { Phase } from "#job/phase.ts";
import type { StepResult, Verdict } from "#job/verdict.ts";
import type { AttemptReport } from "./attempt.ts";
import type { GuestPlace } from "./guest-port.ts";
import type { Acceleration, Image } from "./ports.ts";

/**
 * What an attempt writes down: a phase before it is acted on, and what has happened once it has, so that it is not done twice. Times
 * are `uptimeMs()` of the host.
 */
export type Entry =
  | { readonly entry: "phase"; readonly phase: Phase; readonly atMs: number }
  /** The machine is about to be started; its keys and its record are in its folder. */
  | {
      readonly entry: "machine";
      readonly image: Image;
      readonly acceleration: Acceleration;
      readonly machine: NonNullable<AttemptReport["machine"]>;
    }
  /** Somebody was logged in to the guest. */
  | { readonly entry: "guest"; readonly place: GuestPlace }
  /** The inputs are all in the guest, and a step is about to be started. */
  | { readonly entry: "step-begins"; readonly number: number; readonly atMs: number }
  | { readonly entry: "step-ends"; readonly number: number; readonly result: StepResult }
  /** How the attempt ends, or is being ended; the last one counts. Evidence is still to be saved. */
  | { readonly entry: "verdict"; readonly verdict: Verdict };

/** What an attempt did before this process took it up. */
export type Past = {
  /** In the order in which they were entered; empty when the attempt is new. */
  readonly phases: readonly { readonly phase: Phase; readonly atMs: number }[];
  /** The host was booted since: whatever ran then is gone, and the times mean nothing. */
  readonly isOfEarlierBoot: boolean;
  readonly machine?: Extract<Entry, { entry: "machine" }>;
  readonly guest?: GuestPlace;
  /** By step number; without `result` it began, and nobody saw its end. */
  readonly steps: ReadonlyMap<number, { readonly atMs: number; readonly result?: StepResult }>;
  readonly verdict?: Verdict;
};

/**
 * An attempt's journal. What is not noted is not done: a call that does not return holds the attempt up, and nothing is lost by it.
 */
export interface Journal {
  /** What was noted before this process; never changes. */
  readonly past: Past;
  /** Returns once the entry is there to stay. The last one of its kind and number counts, but for phases and begins of steps: of those the first. */
  note(entry: Entry): Promise<void>;
  /** The attempt is over: its verdict and all that is known of it. The machine still stands. Returns once it is there to stay. */
  settle(report: AttemptReport): Promise<void>;
}

/** Of an attempt that is new. */
const NO_PAST: Past = { phases: [], isOfEarlierBoot: false, steps: new Map() };

/** For an attempt that nobody takes up again when its process dies: nothing is kept. */
export const NO_JOURNAL: Journal = {
  past: NO_PAST,
  note: async () => undefined,
  settle: async () => undefined,
};

/** What the entries of a journal come to. */
export function pastOf(entries: readonly Entry[], isOfEarlierBoot: boolean): Past {
  const phases: Past["phases"][number][] = [];
  const steps = new Map<number, { atMs: number; result?: StepResult }>();
  let past: Past = { phases, isOfEarlierBoot, steps };
  for (const entry of entries) {
    switch (entry.entry) {
      case "phase":
        phases.push({ phase: entry.phase, atMs: entry.atMs });
        break;
      case "machine":
        past = { ...past, machine: entry };
        break;
      case "guest":
        past = { ...past, guest: entry.place };
        break;
      case "step-begins":
        if (!steps.has(entry.number)) steps.set(entry.number, { atMs: entry.atMs });
        break;
      case "step-ends": {
        const { atMs } = steps.get(entry.number) ?? { atMs: 0 };
        steps.set(entry.number, { atMs, result: entry.result });
        break;
      }
      case "verdict":
        past = { ...past, verdict: entry.verdict };
        break;
    }
  }
  return past;
}

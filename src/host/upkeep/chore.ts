import type { Schedule } from "./schedule.ts";

/** Everything that the caretaker does. */
export type ChoreName = "sweep" | "disk" | "evidence" | "state" | "health" | "images";

/** One chore of the caretaker. */
export type Chore = {
  readonly name: ChoreName;
  readonly schedule: Schedule;
  /** It is run once as soon as the caretaker begins, too. */
  readonly isAtStart: boolean;
  /** After so long its signal aborts; the next run waits for its end all the same. */
  readonly limitMs: number;
  /** One run. What it throws is logged and counted, and the next run comes at its time. */
  run(signal: AbortSignal): Promise<ChoreReport>;
};

/** What a run came to. */
export type ChoreReport = {
  /** Something was done or found: the run's line is for everybody, else for who looks closely (debug). */
  readonly isNews: boolean;
  /** What, for the line. Plain values, and lists cut to a few. */
  readonly fields: Readonly<Record<string, unknown>>;
};

/** How a chore fared since the daemon started. */
export type ChoreNumbers = {
  readonly name: ChoreName;
  readonly runs: number;
  readonly failures: number;
  /** Of the run that ended last; undefined before. */
  readonly lastMs: number | undefined;
  /** When a run ended well last, in milliseconds since 1970. */
  readonly lastSuccessMs: number | undefined;
};

const NAMED_MAX = 10;

/** The first few of many, for a line: `{ removed: 12, names: [...10] }` is enough to look further. */
export function few<T>(all: readonly T[]): readonly T[] {
  return all.slice(0, NAMED_MAX);
}

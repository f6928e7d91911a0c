import type { ProblemSlug } from "#protocol/problem.ts";
import type { VerdictReport } from "#protocol/verdict.ts";
import type { Settled } from "#service/ports.ts";

/** What an operator should hear of. Called while requests are answered: must neither wait nor throw. */
export type Remarks = {
  /** An error that nobody foresaw. */
  onBug(error: unknown): void;
  /** Somebody asked for what is not theirs, without a valid token, or too often. */
  onRefused?(refused: {
    readonly operation: string;
    readonly problem: ProblemSlug;
    readonly detail: string | undefined;
    /** Undefined: through the Unix socket. */
    readonly address: string | undefined;
  }): void;
  /** An answer that waits for nobody took long. */
  onSlow?(operation: string, seconds: number): void;
  /** An attempt came to its verdict; a repeat of a report may be told of as well. */
  onSettled?(settled: {
    readonly job: string;
    readonly attempt: number;
    readonly host: string;
    readonly verdict: VerdictReport["verdict"];
    /** What became of the job. */
    readonly jobIs: Extract<Settled, { kind: "taken" }>["job"];
  }): void;
};

/** Refusals that say something of who asks, rather than of what they ask. */
const TELLING: readonly ProblemSlug[] = ["unauthenticated", "forbidden", "fenced", "too-many"];

/** Requests that wait for something, or that move any number of bytes. */
const UNHURRIED: readonly string[] = [
  "takeLease",
  "renewLease",
  "waitForJob",
  "listEvents",
  "readLog",
  "readArtifact",
  "readInput",
  "writeInput",
  "writeArtifact",
  "writeLog",
];

const SLOW_SECONDS = 1;

/** Whether a refusal is worth a remark. */
export function isTelling(problem: ProblemSlug): boolean {
  return TELLING.includes(problem);
}

/** Whether an answer is worth a remark. */
export function isSlow(operation: string, seconds: number): boolean {
  return seconds > SLOW_SECONDS && !UNHURRIED.includes(operation);
}

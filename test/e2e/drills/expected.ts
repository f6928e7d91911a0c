import type { Blame, FaultCode } from "#job/fault.ts";
import type { Verdict } from "#job/verdict.ts";
import type { Counting } from "./counting.ts";

/** How one attempt must end. */
export type ExpectedAttempt = {
  readonly kind: Verdict["kind"];
  readonly code?: FaultCode;
  readonly blame?: Blame;
  /** Its host was given up, so that no verdict of its counts. */
  readonly isFenced?: true;
};

/** What must come of a job that a drill submits, written down before the fault. */
export type Expected = {
  readonly verdict: Verdict["kind"];
  /** Default: one, that ends as the job does. */
  readonly attempts?: readonly ExpectedAttempt[];
  /** Of its first step, when it counts. `part`: of a step that never came to its end. Default: whole. */
  readonly counting?: Counting;
  readonly extent?: "whole" | "part";
  /** Whole content of other logs. */
  readonly logs?: Readonly<Record<string, string>>;
  /** Digest of each artifact, by its path. */
  readonly artifacts?: Readonly<Record<string, string>>;
};

/** A job that was submitted. */
export type DrilledJob = { readonly id: string; readonly expected: Expected };

/** The attempts that must be there. */
export function attemptsOf({ verdict, attempts }: Expected): readonly ExpectedAttempt[] {
  return attempts ?? [{ kind: verdict }];
}

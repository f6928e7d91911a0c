import { type Blame, type Evidence, Fault, type FaultCode, type Retry } from "./fault.ts";

/** How a step ended. `skipped` never ran; `timed-out` and `silent` were killed in the guest by their own limits. */
export type StepOutcome =
  | "passed"
  | "failed"
  | "timed-out"
  | "silent"
  | "cancelled"
  | "lost"
  | "skipped";

/** One step's line in the verdict. */
export type StepResult = {
  readonly name: string;
  readonly outcome: StepOutcome;
  /** The command's exit status, 0 to 255; absent when a signal ended it or it never ended. */
  readonly exitCode?: number;
  /** The signal that ended it, without `SIG`: `KILL`, `SEGV`. */
  readonly signal?: string;
  readonly durationMs: number;
  /** Bytes of the log that came home; `cutBytes` more were printed and swallowed in the guest after the log's limit. */
  readonly logBytes: number;
  readonly cutBytes: number;
};

/** Something the guest offered as an artifact and the host did not take. */
export type Refusal = { readonly name: string; readonly why: string };

/** A file that came home. `path` is relative to the results' `artifacts` folder. */
export type Artifact = { readonly path: string; readonly bytes: number; readonly sha256: string };

/** A fault as data: what a verdict carries. */
export type FaultReport = {
  readonly code: FaultCode;
  readonly blame: Blame;
  readonly retry: Retry;
  readonly stage?: string;
  readonly message: string;
  readonly evidence: Evidence;
};

/**
 * How an attempt ended. `failed` is the job's own answer; `broken` is ours, and says whose fault. `timed-out` is the
 * attempt's deadline or a step's limit; `why` says which.
 */
export type Verdict =
  | { readonly kind: "passed" }
  | { readonly kind: "failed"; readonly why: string }
  | { readonly kind: "timed-out"; readonly why: string }
  | { readonly kind: "cancelled"; readonly why: string }
  | { readonly kind: "broken"; readonly fault: FaultReport };

/** Thrown, or used as an abort reason, to end an attempt without any fault: somebody cancelled it, or its time is up. */
export class Ended extends Error {
  override readonly name = "Ended";
  readonly kind: "cancelled" | "timed-out";
  constructor(kind: "cancelled" | "timed-out", why: string) {
    super(why);
    this.kind = kind;
  }

  /** The `Ended` inside anything thrown, along the chain of causes. */
  static in(thrown: unknown): Ended | undefined {
    for (let at = thrown, depth = 0; at instanceof Error && depth < 16; at = at.cause, depth += 1) {
      if (at instanceof Ended) return at;
    }
    return undefined;
  }
}

/** The verdict of an attempt that threw. The only place where an exception becomes a verdict. */
export function verdictOf(thrown: unknown): Verdict {
  const ended = Ended.in(thrown);
  if (ended !== undefined) return { kind: ended.kind, why: ended.message };
  return { kind: "broken", fault: reportOf(Fault.from(thrown)) };
}

/** A fault as plain data. */
export function reportOf(fault: Fault): FaultReport {
  return {
    code: fault.code,
    blame: fault.blame,
    retry: fault.retry,
    ...(fault.stage === undefined ? {} : { stage: fault.stage }),
    message: fault.message,
    evidence: fault.evidence,
  };
}

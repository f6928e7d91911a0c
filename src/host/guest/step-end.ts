import { constants } from "node:os";
import type { StepEnd } from "#host/runner/guest-port.ts";

/** How a step ended, as the runner in the guest tells it, checked. */
export type RunnerSays = {
  readonly reason: "ended" | "timed-out" | "silent" | "cancelled";
  readonly kind: "code" | "signal";
  readonly code: number;
  /** Bytes that the step printed in all, when the runner knows. */
  readonly printedBytes: number | undefined;
  /** Some of what the step printed is in no log: the guest had no room for it, or what took it was killed. */
  readonly isLost: boolean;
};

const LINE =
  /^end (?<reason>ended|timed-out|silent|cancelled) (?<kind>code|signal) (?<code>\d{1,3}) (?<total>\d{1,15}|unknown|lost)$/m;

/** Reads the runner's last words; undefined when they are not there. */
export function readStepEnd(stderr: string): RunnerSays | undefined {
  const groups = LINE.exec(stderr)?.groups;
  if (groups === undefined) return undefined;
  return {
    reason: groups["reason"] as RunnerSays["reason"],
    kind: groups["kind"] as RunnerSays["kind"],
    code: Number(groups["code"]),
    printedBytes: /^\d/.test(groups["total"] ?? "") ? Number(groups["total"]) : undefined,
    isLost: groups["total"] === "lost",
  };
}

const SIGNAL_NAMES = new Map(
  Object.entries(constants.signals).map(([name, number]) => [number, name.replace(/^SIG/, "")]),
);

/**
 * Outcome, exit code and signal of a step. A POSIX shell folds signal N into status 128 + N; the runner can tell the two
 * apart but for INT and PIPE, of which shells say nothing: those are reported as exit codes 130 and 141.
 */
export function outcomeOf(says: RunnerSays): Pick<StepEnd, "outcome" | "exitCode" | "signal"> {
  const passed = says.reason === "ended" && says.kind === "code" && says.code === 0;
  const outcome =
    says.reason === "timed-out" || says.reason === "silent"
      ? says.reason
      : passed
        ? "passed"
        : "failed";
  const signal = says.kind === "signal" ? SIGNAL_NAMES.get(says.code - 128) : undefined;
  return signal === undefined ? { outcome, exitCode: says.code } : { outcome, signal };
}

import type { StepResult } from "#job/verdict.ts";

/** How a step ended: `passed`, `failed with exit status 2`. */
export function outcomeInWords({ outcome, exitCode, signal }: StepResult): string {
  switch (outcome) {
    case "failed":
      return signal === undefined
        ? `failed with exit status ${exitCode}`
        : `failed, ended by SIG${signal}`;
    case "timed-out":
      return "timed out";
    case "silent":
      return "killed, it printed nothing for too long";
    case "lost":
      return "lost, its end is not known";
    default:
      return outcome;
  }
}

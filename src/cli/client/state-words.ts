import type { JobSummary } from "#protocol/job-view.ts";

/** Where a job is, in a word or two: `queued`, `booting`, `passed`. */
export function stateInWords({
  state,
  phase,
  verdict,
}: Pick<JobSummary, "state" | "phase" | "verdict">): string {
  if (state === "settled") return (verdict ?? "settled").replace("-", " ");
  return state === "running" ? (phase ?? state) : state;
}

import type { JobSummary } from "#protocol/job-view.ts";
import type { Ages } from "#service/ports.ts";

/** When what was settled, uploaded or heard long ago leaves, and how much may be kept. */
export type Retention = {
  /** A settled job leaves, with its history, so long after its end. */
  readonly jobDays: number;
  /** Its logs and artifacts leave so long after its end, by its verdict; with the job at the latest. */
  readonly fileDays: Readonly<Record<NonNullable<JobSummary["verdict"]>, number>>;
  /**
   * Logs, artifacts and inputs may take so much together. Beyond, the logs and artifacts of the jobs that were settled first
   * leave; their histories stay. Undefined: no limit but the disk's.
   */
  readonly filesBytesMax: number | undefined;
  /** An input that no queued or running job names leaves so long after its last use. */
  readonly inputDays: number;
  /** An upload that does not go on leaves after so long. */
  readonly uploadDays: number;
  /** A lost host that is not drained is forgotten after so long. */
  readonly hostDays: number;
  /** A revoked token is forgotten after so long. */
  readonly tokenDays: number;
};

/** What holds unless the caller says otherwise. Most people look at what passed for a week, and at what failed for a month. */
export const RETENTION: Retention = {
  jobDays: 90,
  fileDays: { passed: 14, failed: 30, "timed-out": 30, cancelled: 14, broken: 30 },
  filesBytesMax: undefined,
  inputDays: 7,
  uploadDays: 2,
  hostDays: 90,
  tokenDays: 90,
};

const DAY_SECONDS = 86_400;

/** The same in seconds, as the store wants it. */
export function agesOf({ fileDays, jobDays, ...days }: Retention): Ages {
  const secondsOf = (verdict: keyof typeof fileDays) =>
    Math.min(fileDays[verdict], jobDays) * DAY_SECONDS;
  return {
    fileSeconds: {
      passed: secondsOf("passed"),
      failed: secondsOf("failed"),
      "timed-out": secondsOf("timed-out"),
      cancelled: secondsOf("cancelled"),
      broken: secondsOf("broken"),
    },
    jobSeconds: jobDays * DAY_SECONDS,
    inputSeconds: days.inputDays * DAY_SECONDS,
    partSeconds: days.uploadDays * DAY_SECONDS,
    hostSeconds: days.hostDays * DAY_SECONDS,
    tokenSeconds: days.tokenDays * DAY_SECONDS,
  };
}

import { EXIT_CODES, exitCodeOf } from "#cli/exit-code.ts";
import { explain } from "#cli/run/summary.ts";
import type { Screen, Tone } from "#host/narration/screen.ts";
import { printable } from "#lib/printable.ts";
import { bytesInWords, durationInWords } from "#lib/words.ts";
import type { AttemptView, JobDetail } from "#protocol/job-view.ts";
import type { WireArtifact } from "#protocol/verdict.ts";

/** The verdict with which a settled job's last attempt ended; undefined when it never had one. */
function lastVerdict({ attemptList }: JobDetail): AttemptView["verdict"] {
  return attemptList.at(-1)?.verdict;
}

/** The exit status of `testbed run` for the same end; of an end that this version does not know, that of a broken job. */
export function exitCodeOfJob(job: JobDetail): number {
  const kind = job.verdict ?? "broken";
  const fault = kind === "broken" ? lastVerdict(job)?.fault : undefined;
  return exitCodeOf(fault === undefined ? { kind } : { kind, fault }) ?? EXIT_CODES.broken;
}

/** The last lines of a watch: how the job ended, whose fault, and where its logs and artifacts are. */
export function summarizeJob(
  screen: Screen,
  job: JobDetail,
  artifacts: readonly WireArtifact[],
): void {
  const fault = job.verdict === "broken" ? lastVerdict(job)?.fault : undefined;
  if (fault !== undefined) explain(screen, fault, `${job.host ?? "the host"}'s`);
  const refused = job.attemptList.at(-1)?.report?.refused ?? [];
  if (refused.length > 0)
    screen.line(`artifacts refused: ${refused.length}; 'testbed job ${job.id}' says why`, "note");
  if (artifacts.length > 0) {
    const size = bytesInWords(artifacts.reduce((sum, { bytes }) => sum + bytes, 0));
    screen.line(`artifacts: ${artifacts.length}, ${size}: testbed artifacts ${job.id} --to DIR`);
  }
  if (job.attempts > 0) screen.line(`log: testbed logs ${job.id}`);
  screen.line(
    `${ending(job)}, ${tookInWords(job)} after it was submitted`,
    TONES[job.verdict ?? "broken"] ?? "bad",
  );
}

const TONES: Readonly<Record<NonNullable<JobDetail["verdict"]>, Tone>> = {
  passed: "good",
  failed: "bad",
  "timed-out": "bad",
  cancelled: "note",
  broken: "bad",
};

function ending({ verdict = "broken", why }: JobDetail): string {
  const words = printable(verdict.replace("-", " "), 40);
  const [first = ""] = (why ?? "").split("\n");
  return first === "" ? words : `${words}: ${printable(first, 300)}`;
}

/** By the service's clock alone. */
function tookInWords({ submittedAt, settledAt }: JobDetail): string {
  const endMs = settledAt === undefined ? Date.now() : Date.parse(settledAt);
  return durationInWords(Math.max(endMs - Date.parse(submittedAt), 0));
}

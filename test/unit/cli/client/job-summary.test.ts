import { expect, test } from "vitest";
import { exitCodeOfJob, summarizeJob } from "#cli/client/job-summary.ts";
import type { Screen } from "#host/narration/screen.ts";
import type { JobDetail } from "#protocol/job-view.ts";

const JOB: JobDetail = {
  id: "0123456789abcdef",
  owner: "ada",
  image: "micro",
  priority: 0,
  labels: [],
  state: "settled",
  host: "lab-7",
  attempts: 1,
  attemptsMax: 1,
  submittedAt: "2030-01-02T03:04:05.000Z",
  settledAt: "2030-01-02T03:04:17.000Z",
  job: { image: "micro", steps: [{ name: "a", run: "b" }] },
  attemptList: [],
};

const fault = {
  blame: "host",
  retry: "never",
  message: "it \u001b[2Jbroke",
  evidence: {},
} as const;

function broken(code: string): JobDetail {
  const verdict = { kind: "broken", fault: { code, ...fault } } as const;
  const times = { leasedAt: JOB.submittedAt, endedAt: JOB.submittedAt };
  const attempt = {
    number: 1,
    host: "lab-7",
    phase: "reported",
    state: "ended",
    ...times,
  } as const;
  return { ...JOB, verdict: "broken", attemptList: [{ ...attempt, verdict }] };
}

test.each<[string, JobDetail, number]>([
  ["passed", { ...JOB, verdict: "passed" }, 0],
  ["failed", { ...JOB, verdict: "failed" }, 1],
  ["timed out", { ...JOB, verdict: "timed-out" }, 4],
  ["cancelled", { ...JOB, verdict: "cancelled" }, 130],
  ["broken without an attempt", { ...JOB, verdict: "broken" }, 3],
  ["broken by a host", broken("machine-crashed"), 3],
  ["broken by a mistake", broken("image-unknown"), 2],
  ["an end of a newer service", { ...JOB, verdict: "exploded" as "broken" }, 3],
])("%s", (_, job, exitCode) => {
  expect(exitCodeOfJob(job)).toBe(exitCode);
});

test("the last lines say whose fault it was, in words that are harmless", () => {
  const lines: string[] = [];
  const screen: Screen = {
    line: (text) => void lines.push(text),
    guest: () => undefined,
    endGuest: () => undefined,
    status: () => undefined,
    close: async () => true,
  };
  summarizeJob(screen, broken("machine-crashed"), [{ path: "a", bytes: 2048, sha256: "" }]);
  expect(lines).toEqual([
    "it \\u{1b}[2Jbroke",
    "fault: lab-7's",
    "artifacts: 1, 2.0 KiB: testbed artifacts 0123456789abcdef --to DIR",
    "log: testbed logs 0123456789abcdef",
    "broken, 12 s after it was submitted",
  ]);
});

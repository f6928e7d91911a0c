import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { faultReport, verdictReport } from "#host/daemon/verdict-report.ts";
import type { AttemptReport } from "#host/runner/attempt.ts";
import { openAttemptBook } from "#host/state/attempt-folders.ts";
import { Fault } from "#job/fault.ts";
import { verdictOf } from "#job/verdict.ts";
import { compileSchema } from "#lib/validate.ts";
import type { Grant } from "#protocol/lease.ts";
import { verdictReportSchema } from "#protocol/verdict.ts";
import { scratchFolder } from "#test/kit/scratch.ts";

const violations = compileSchema(verdictReportSchema);

const GRANT: Grant = {
  lease: "ab".repeat(16),
  jobId: "0123456789abcdef",
  attempt: 1,
  job: { image: "micro", steps: [{ name: "build", run: "make" }] },
  lengthSeconds: 300,
  timeoutSeconds: 3600,
};

async function attempt() {
  const scratch = await scratchFolder();
  onTestFinished(() => scratch[Symbol.asyncDispose]());
  const book = await openAttemptBook(scratch.path);
  const folder = await book.begin(GRANT);
  if (folder === undefined) throw new Error("it was begun before");
  return folder;
}

const REPORT: AttemptReport = {
  verdict: { kind: "passed" },
  phases: [{ phase: "leased", durationMs: 3 }],
  steps: [
    { name: "build", outcome: "passed", exitCode: 0, durationMs: 1, logBytes: 2, cutBytes: 0 },
  ],
  artifacts: [],
  refused: [],
  image: { name: "micro", version: "1", digest: "d".repeat(64) },
  acceleration: "tcg",
  machine: { name: "testbed-x", memoryMiB: 128, cpus: 1 },
  kept: undefined,
  leaks: [],
  marksMs: {},
};

test("a report says how long each log is, and names the screenshot by its digest", async () => {
  const folder = await attempt();
  await mkdir(join(folder.results, "steps"));
  await writeFile(folder.output, "12345");
  await writeFile(join(folder.results, "steps/01-build.log"), "123");
  await writeFile(join(folder.results, "screenshot.png"), "png");
  const report = await verdictReport(folder, REPORT, 12.7);
  expect(violations(report)).toEqual([]);
  expect(report).toMatchObject({
    durationMs: 13,
    logs: [
      { log: "output", bytes: 5 },
      { log: "step-1", bytes: 3 },
    ],
    screenshot: expect.stringMatching(/^[0-9a-f]{64}$/),
  });
});

test("whatever a guest had a hand in fits the wire: too long, too many, not printable", async () => {
  const folder = await attempt();
  const evil = `\0\ud800\u202e${"x".repeat(50_000)}`;
  const evidence = Object.fromEntries(
    Array.from({ length: 50 }, (_, at) => [
      `key ${at} ${"k".repeat(100)}`,
      at % 2 === 0 ? evil : Array.from({ length: 500 }, () => evil.slice(0, 20_000)),
    ]),
  );
  const fault = new Fault("guest-no-ssh", evil, {
    stage: evil,
    evidence: { ...evidence, nan: Number.NaN },
  });
  const report = await verdictReport(
    folder,
    {
      ...REPORT,
      verdict: verdictOf(fault),
      refused: Array.from({ length: 3000 }, (_, at) => ({ name: `${at}${evil}`, why: evil })),
      artifacts: Array.from({ length: 10_050 }, (_, at) => ({
        path: `a/${at}`,
        bytes: 1,
        sha256: "e".repeat(64),
      })),
    },
    1,
  );
  expect(violations(report)).toEqual([]);
  expect(report.artifacts).toHaveLength(10_000);
  expect(report.refused).toHaveLength(1000);
});

test("an attempt that nobody ran to its end has a report, too", async () => {
  const folder = await attempt();
  const report = await faultReport(folder, new Fault("host-restarted", "gone"), -5);
  expect(violations(report)).toEqual([]);
  expect(report).toMatchObject({ durationMs: 0, verdict: { fault: { code: "host-restarted" } } });
});

test("a report of many files with long names is not longer than the wire takes, and says what is missing", async () => {
  const folder = await attempt();
  const path = (at: number) => `${"ä".repeat(500)}/${at}`;
  const report = await verdictReport(
    folder,
    {
      ...REPORT,
      refused: Array.from({ length: 900 }, (_, at) => ({ name: path(at), why: "é".repeat(240) })),
      artifacts: Array.from({ length: 10_000 }, (_, at) => ({
        path: path(at),
        bytes: 1,
        sha256: "e".repeat(64),
      })),
    },
    1,
  );
  expect(violations(report)).toEqual([]);
  expect(Buffer.byteLength(JSON.stringify(report))).toBeLessThan(4 * 2 ** 20);
  expect(report.artifacts.length).toBeGreaterThan(2000);
  expect(report.refused.length).toBeGreaterThan(100);
});

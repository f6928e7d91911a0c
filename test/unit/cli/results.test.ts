import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import { afterEach, beforeEach, expect, test } from "vitest";
import { UsageError } from "#cli/exit-code.ts";
import {
  defaultResultsFolder,
  makeResultsFolder,
  removeResultsFolder,
  writeVerdict,
} from "#cli/run/results.ts";
import { type RunFacts, verdictDocument } from "#cli/run/verdict-document.ts";
import { verdictDocumentSchema } from "#cli/run/verdict-schema.ts";
import type { AttemptReport } from "#host/runner/attempt.ts";
import { Fault } from "#job/fault.ts";
import { NEXT_PHASES } from "#job/phase.ts";
import { reportOf } from "#job/verdict.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "testbed-results-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const validate = new Ajv2020({ strict: true, keywords: ["patternErrorMessage"] }).compile(
  verdictDocumentSchema,
);

const REPORT: AttemptReport = {
  verdict: { kind: "passed" },
  phases: [{ phase: "preparing", durationMs: 5 }],
  steps: [
    { name: "a", outcome: "passed", exitCode: 0, durationMs: 1, logBytes: 2, cutBytes: 0 },
    { name: "b", outcome: "failed", signal: "SEGV", durationMs: 1, logBytes: 2, cutBytes: 9 },
  ],
  artifacts: [{ path: "a/b", bytes: 1, sha256: "0".repeat(64) }],
  refused: [{ name: "../x", why: "leaves the folder" }],
  image: { name: "micro", version: "1", digest: "0".repeat(64) },
  acceleration: "tcg",
  machine: { name: "testbed-0", memoryMiB: 128, cpus: 1 },
  kept: { name: "testbed-0", address: undefined },
  leaks: ["disk"],
  marksMs: { "login works": 900 },
};

function facts(): RunFacts {
  return {
    job: "0123456789abcdef",
    file: "job.yaml",
    startedAt: new Date(0),
    durationMs: 12.6,
    resultsFolder: folder,
    version: "0.1.0",
  };
}

test("the default folder is named after the job file, the time and the run, in plain characters", () => {
  const name = defaultResultsFolder("/x/mä job.yaml", "0123456789abcdef", new Date(0));
  expect(name).toBe(join(process.cwd(), "results/m-job-19700101T000000Z-012345"));
});

test("a folder is made, an empty one taken, one with something in it refused", async () => {
  await makeResultsFolder(join(folder, "a/b"));
  await makeResultsFolder(join(folder, "a/b"));
  expect(readdirSync(join(folder, "a/b"))).toEqual([]);
  writeFileSync(join(folder, "a/b/file"), "");
  await expect(makeResultsFolder(join(folder, "a/b"))).rejects.toThrow(UsageError);
  await expect(makeResultsFolder(join(folder, "a/b"))).rejects.toThrow("it holds file");
  await expect(makeResultsFolder(join(folder, "a/b/file"))).rejects.toThrow("is not a folder");
  await expect(makeResultsFolder(join(folder, "a/b/file/c"))).rejects.toThrow("is not a folder");
});

test("a folder that cannot be written is the host's fault, named before anything starts", async () => {
  await expect(makeResultsFolder("/proc/testbed")).rejects.toMatchObject({
    code: "host-path-closed",
    message: expect.stringContaining("--results DIR names another folder"),
  });
});

test("the verdict is written whole, and is what its schema says", async () => {
  const document = verdictDocument([REPORT, REPORT], facts());
  await writeVerdict(document);
  const written: unknown = JSON.parse(readFileSync(join(folder, "verdict.json"), "utf8"));
  expect(written).toEqual(document);
  expect(validate(written)).toBe(true);
  expect(written).toMatchObject({
    verdict: { kind: "passed" },
    durationMs: 13,
    kept: { name: "testbed-0" },
  });
  expect(readdirSync(folder)).toEqual(["verdict.json"]);
});

test("a broken attempt of which nothing is known is a document of the schema too", () => {
  const fault = reportOf(
    new Fault("guest-no-ssh", "no answer", { stage: "port answers", evidence: { leases: ["a"] } }),
  );
  const document = verdictDocument(
    [
      {
        ...REPORT,
        verdict: { kind: "broken", fault },
        phases: [],
        steps: [],
        image: undefined,
        acceleration: undefined,
        machine: undefined,
        kept: undefined,
      },
    ],
    facts(),
  );
  expect(validate(JSON.parse(JSON.stringify(document)))).toBe(true);
  expect(document).toMatchObject({
    verdict: {
      kind: "broken",
      fault: { code: "guest-no-ssh", blame: "image", stage: "port answers" },
    },
  });
});

test("the schema knows every phase", () => {
  const { enum: phases } = verdictDocumentSchema.properties.phases.items.properties.phase;
  expect([...phases]).toEqual(Object.keys(NEXT_PHASES));
});

test("a results folder in which something lies is never removed", async () => {
  const [used, unused] = [join(folder, "used"), join(folder, "unused")];
  for (const path of [used, unused]) mkdirSync(join(path, "steps"), { recursive: true });
  writeFileSync(join(used, "steps/01-a.log"), "");
  await removeResultsFolder(used);
  await removeResultsFolder(unused);
  expect(readdirSync(folder)).toEqual(["used"]);
});

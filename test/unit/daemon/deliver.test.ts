import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { deliver } from "#host/daemon/deliver.ts";
import { Fenced, NotTaken, type Uplink } from "#host/daemon/ports.ts";
import { openAttemptBook } from "#host/state/attempt-folders.ts";
import { compileSchema } from "#lib/validate.ts";
import type { Grant } from "#protocol/lease.ts";
import { type VerdictReport, verdictReportSchema } from "#protocol/verdict.ts";
import { scratchFolder } from "#test/kit/scratch.ts";

const violations = compileSchema(verdictReportSchema);
const signal = new AbortController().signal;
const NOT_TAKEN = new NotTaken("there is no room for it");
const PATH = `out/${"x".repeat(1000)}`;

const GRANT: Grant = {
  lease: "ab".repeat(16),
  jobId: "0123456789abcdef",
  attempt: 1,
  job: { image: "micro", steps: [{ name: "build", run: "make" }] },
  lengthSeconds: 300,
  timeoutSeconds: 3600,
};

const REPORT: VerdictReport = {
  verdict: { kind: "passed" },
  durationMs: 5,
  phases: [],
  steps: [],
  artifacts: [{ path: PATH, bytes: 3, sha256: "a".repeat(64) }],
  refused: [],
  logs: [
    { log: "output", bytes: 5 },
    { log: "step-1", bytes: 4 },
  ],
};

/** An attempt on disk, and an uplink that takes everything but what the test changes; tells what was reported. */
async function room(changes: Partial<Uplink>) {
  const scratch = await scratchFolder();
  onTestFinished(() => scratch[Symbol.asyncDispose]());
  const book = await openAttemptBook(scratch.path);
  const folder = await book.begin(GRANT);
  if (folder === undefined) throw new Error("it was begun before");
  await writeFile(folder.output, "12345");
  const reported: VerdictReport[] = [];
  const uplink: Uplink = {
    take: async () => undefined,
    renew: async () => ({ secondsLeft: 1 }),
    fetchInput: async () => undefined,
    sendLog: async () => 0,
    sendArtifact: async () => undefined,
    report: async (_, report) => {
      reported.push(report);
      return "settled";
    },
    forget: () => undefined,
    trouble: undefined,
    ...changes,
  };
  return { uplink, folder, reported, path: join(scratch.path, "attempts", "0123456789abcdef-1") };
}

test("what the service does not take is left out of the report, which says so: a log, an artifact with a long name", async () => {
  const { uplink, folder, reported, path } = await room({
    sendLog: async (_, { log }) => {
      if (log === "step-1") throw NOT_TAKEN;
      return 5;
    },
    sendArtifact: async () => {
      throw NOT_TAKEN;
    },
  });
  expect(await deliver(uplink, folder, REPORT, signal)).toEqual({
    kind: "delivered",
    job: "settled",
  });
  expect(reported).toMatchObject([
    {
      verdict: { kind: "passed" },
      logs: [{ log: "output", bytes: 5 }],
      artifacts: [],
      refused: [
        { name: "log step-1", why: expect.stringContaining("no room") },
        { name: PATH, why: expect.stringContaining("no room") },
      ],
    },
  ]);
  expect(violations(reported[0])).toEqual([]);
  expect(existsSync(path)).toBe(false);
});

test("a log that became shorter on its host is told as long as the service has it, and why it ends there", async () => {
  const { uplink, folder, reported } = await room({
    sendLog: async (_, { log }) => (log === "step-1" ? 1 : 5),
  });
  expect((await deliver(uplink, folder, REPORT, signal)).kind).toBe("delivered");
  expect(reported).toMatchObject([
    {
      verdict: { kind: "passed" },
      logs: [
        { log: "output", bytes: 5 },
        { log: "step-1", bytes: 1 },
      ],
      refused: [{ name: "log step-1", why: expect.stringMatching(/1 of 4 bytes.*disk was short/) }],
    },
  ]);
  expect(violations(reported[0])).toEqual([]);
});

test("artifacts go several at a time, each content once, and a lost lease ends them all", async () => {
  const sent: string[] = [];
  let atOnce = 0;
  let most = 0;
  const { uplink, folder } = await room({
    sendArtifact: async (_, { sha256 }) => {
      sent.push(sha256);
      atOnce += 1;
      most = Math.max(most, atOnce);
      await Promise.resolve();
      atOnce -= 1;
      if (sent.length >= 50) throw new Fenced("the job goes on without it");
    },
    report: async () => {
      throw new Fenced("the job goes on without it");
    },
  });
  const artifacts = Array.from({ length: 1000 }, (_, at) => ({
    path: `out/${at}`,
    bytes: 3,
    sha256: Math.floor(at / 2)
      .toString(16)
      .padStart(64, "0"),
  }));
  const delivery = await deliver(uplink, folder, { ...REPORT, artifacts }, signal);
  expect(delivery).toEqual({ kind: "aside", why: "the job goes on without it" });
  expect(new Set(sent).size).toBe(sent.length);
  expect(most).toBe(8);
});

test("a report that is refused is followed by one that names nothing, so that nothing in it can be missing", async () => {
  let tries = 0;
  const { uplink, folder, reported } = await room({});
  const report: Uplink["report"] = async (lease, told) => {
    tries += 1;
    if (tries === 1) throw new NotTaken("log step-1 is not here");
    return await uplink.report(lease, told, signal);
  };
  const delivery = await deliver({ ...uplink, report }, folder, REPORT, signal);
  expect(delivery.kind).toBe("delivered");
  expect(violations(reported[0])).toEqual([]);
  expect(reported).toMatchObject([
    {
      verdict: { kind: "broken", fault: { code: "bug", message: expect.stringMatching(/step-1/) } },
      logs: [],
      artifacts: [],
    },
  ]);
});

test("what is not taken at all stays on the host, with the reason", async () => {
  const { uplink, folder, path } = await room({
    report: async () => {
      throw NOT_TAKEN;
    },
  });
  expect(await deliver(uplink, folder, REPORT, signal)).toMatchObject({ kind: "aside" });
  expect(await readFile(join(path, "set-aside.txt"), "utf8")).toBe("there is no room for it\n");
});

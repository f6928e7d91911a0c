import { mkdir, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { openAttemptBook } from "#host/state/attempt-folders.ts";
import { openDrainFlag } from "#host/state/drain-flag.ts";
import type { Grant } from "#protocol/lease.ts";
import { scratchFolder } from "#test/kit/scratch.ts";

let state: string;
beforeEach(async () => {
  const scratch = await scratchFolder();
  onTestFinished(() => scratch[Symbol.asyncDispose]());
  state = scratch.path;
});

const grant = (jobId: string, attempt = 1): Grant => ({
  lease: "ab".repeat(16),
  jobId,
  attempt,
  job: { image: "micro", steps: [{ name: "build", run: "make" }] },
  lengthSeconds: 300,
  timeoutSeconds: 3600,
});
const [A, B] = ["a".repeat(16), "b".repeat(16)];

test("the request id stays the same over restarts, until an attempt was noted", async () => {
  const id = await (await openAttemptBook(state)).requestId();
  const book = await openAttemptBook(state);
  expect(await book.requestId()).toBe(id);
  await book.begin(grant(A));
  const next = await book.requestId();
  expect(next).not.toBe(id);
  expect(await (await openAttemptBook(state)).requestId()).toBe(next);
});

test("an attempt begins once, and is found by the next daemon with its verdict", async () => {
  const book = await openAttemptBook(state);
  const folder = await book.begin(grant(A));
  expect(await book.begin(grant(A))).toBeUndefined();
  expect(await book.begin(grant(A, 2))).toBeDefined();
  const report = {
    verdict: { kind: "passed" },
    durationMs: 1,
    phases: [],
    steps: [],
    artifacts: [],
    refused: [],
    logs: [],
  } as const;
  await folder?.settle(report as never);
  await folder?.settle({ ...report, durationMs: 2 } as never);
  const found = await (await openAttemptBook(state)).open();
  expect(found.map(({ grant: { attempt } }) => attempt).sort()).toEqual([1, 2]);
  const first = found.find(({ grant: { attempt } }) => attempt === 1);
  expect(await first?.verdict()).toEqual(report);
  await first?.forget();
  await first?.forget();
  expect(await readdir(join(state, "attempts"))).toEqual([`${A}-2`]);
});

test("an attempt that was noted on a disk which then took no more begins when its lease comes again", async () => {
  const book = await openAttemptBook(state);
  const id = await book.requestId();
  const path = join(state, "request-id");
  await rm(path);
  await mkdir(join(path, "in the way"), { recursive: true });
  await expect(book.begin(grant(A))).rejects.toThrow();
  expect(await book.requestId()).toBe(id);
  await rm(path, { recursive: true });
  expect(await book.begin(grant(A))).toMatchObject({ grant: { jobId: A } });
  expect(await book.requestId()).not.toBe(id);
  expect(await book.begin(grant(A))).toBeUndefined();
});

test("what a crash left half made or half removed is gone at the next start; what cannot be read is nobody's", async () => {
  await openAttemptBook(state);
  const attempts = join(state, "attempts");
  for (const name of [`making-${A}-1`, `gone-${A}-2`, `${B}-1`, "something else"])
    await mkdir(join(attempts, name, "results"), { recursive: true });
  await writeFile(join(attempts, `${B}-1`, "grant.json"), '{"grant": {');
  const book = await openAttemptBook(state);
  expect(await book.open()).toEqual([]);
  expect((await readdir(attempts)).sort()).toEqual([`${B}-1`, "something else"]);
});

test("evidence that was set aside is not open any more", async () => {
  const book = await openAttemptBook(state);
  await (await book.begin(grant(A)))?.setAside("the lease was lost");
  expect(await book.open()).toEqual([]);
  expect(await readdir(join(state, "attempts"))).toEqual([`${A}-1`]);
});

test("a drained host stays drained, also when its flag cannot be read", async () => {
  const flag = await openDrainFlag(state);
  expect(flag.drained).toBeUndefined();
  await flag.set("new disk");
  expect((await openDrainFlag(state)).drained).toMatchObject({ why: "new disk" });
  await flag.clear();
  await flag.clear();
  expect((await openDrainFlag(state)).drained).toBeUndefined();
  await writeFile(join(state, "drain.json"), "{");
  expect((await openDrainFlag(state)).drained?.why).toMatch(/cannot be read/);
});

test.for(["cannot be read", "cannot be looked at"] as const)(
  "a journal that %s is told of as one that is damaged, and its folder is kept",
  async (how) => {
    const book = await openAttemptBook(state);
    const folder = await book.begin(grant(A));
    const path = join(state, "attempts", `${A}-1`, "journal");
    if (how === "cannot be read") await mkdir(path);
    else await symlink("journal", path);
    expect(await folder?.journal()).toMatchObject({
      message: expect.stringMatching(how === "cannot be read" ? "EISDIR" : "ELOOP"),
    });
    await folder?.forget();
    const aside = await readFile(join(state, "attempts", `${A}-1`, "set-aside.txt"), "utf8");
    expect(aside).toContain("journal cannot be read");
  },
);

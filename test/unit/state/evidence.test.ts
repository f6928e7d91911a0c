import { existsSync } from "node:fs";
import { readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { openEvidence } from "#host/state/evidence.ts";
import { layAttempt } from "#test/kit/attempt-shelf.ts";
import { scratchFolder } from "#test/kit/scratch.ts";

const [A, B, C, D] = ["a", "b", "c", "d"].map((digit) => `${digit.repeat(16)}-1`) as [
  string,
  string,
  string,
  string,
];

let state: string;
beforeEach(async () => {
  const scratch = await scratchFolder();
  onTestFinished(() => scratch[Symbol.asyncDispose]());
  state = scratch.path;
});

test("attempts are told apart by what lies in their folders, oldest first; what is no attempt's is passed over", async () => {
  await layAttempt(state, A, { state: "open", minutes: 3 });
  await layAttempt(state, B, { state: "finished", minutes: 5 });
  await layAttempt(state, C, { state: "aside", minutes: 4 });
  await layAttempt(state, D, { state: "unreadable", minutes: 6 });
  await layAttempt(state, "making-something", { state: "open" });
  const found = await openEvidence(state).list();
  expect(found.map(({ name, state: is }) => [name, is])).toEqual([
    [D, "unreadable"],
    [B, "finished"],
    [C, "aside"],
    [A, "open"],
  ]);
  expect(await openEvidence(join(state, "nowhere")).list()).toEqual([]);
});

test("only what is set aside can be removed, and only what is finished gives logs, artifacts and inputs away", async () => {
  const files = { "output.log": 10, "inputs/0": 7, "results/artifacts/out/a": 5 };
  for (const is of ["open", "unreadable"] as const) {
    const folder = await layAttempt(state, A, { state: is, files });
    const evidence = openEvidence(state);
    expect(await evidence.remove(A)).toBe(0);
    expect(await evidence.logs(A)).toEqual([]);
    expect(await evidence.artifacts(A)).toEqual([]);
    expect(await evidence.dropInputs(A)).toBe(0);
    expect(existsSync(join(folder, "inputs/0"))).toBe(true);
  }
  const folder = await layAttempt(state, B, { state: "finished", files });
  const evidence = openEvidence(state);
  expect(await evidence.remove(B)).toBe(0);
  expect(await evidence.logs(B)).toEqual([
    { path: join(folder, "output.log"), name: "output.log", bytes: 10 },
  ]);
  const [artifact] = await evidence.artifacts(B);
  expect(artifact).toMatchObject({ name: "out/a", bytes: 5 });
  expect(await evidence.dropInputs(B)).toBe(7);
  expect(await evidence.dropInputs(B)).toBe(0);
  if (artifact !== undefined) {
    expect(await evidence.dropArtifact(artifact)).toBe(5);
    expect(await evidence.dropArtifact(artifact)).toBe(0);
  }
  await layAttempt(state, C, { state: "aside", files });
  expect(await evidence.remove(C)).toBeGreaterThan(22);
  expect(await evidence.remove(C)).toBe(0);
  expect((await readdir(join(state, "attempts"))).sort()).toEqual([A, B]);
});

test("a log is cut after its beginning, with a line that says how much is missing, and once", async () => {
  const folder = await layAttempt(state, A, { state: "finished" });
  const path = join(folder, "results/steps/01-build.log");
  await writeFile(path, Buffer.alloc(5000, "y"));
  const evidence = openEvidence(state);
  const [log] = await evidence.logs(A);
  if (log === undefined) throw new Error("no log");
  const freed = await evidence.cutLog(log, 1000);
  const text = await readFile(path, "utf8");
  expect(text).toMatch(/^y{1000}\n\[testbed: log cut here after 1000 bytes: .* 4000 bytes\]\n$/);
  expect(freed).toBe(5000 - text.length);
  expect(await evidence.cutLog({ ...log, path: `${path}.gone` }, 1000)).toBe(0);
});

test("nothing outside an attempt's folder counts or goes, whatever a link says", async () => {
  const outside = join(state, "precious");
  await writeFile(outside, Buffer.alloc(100_000));
  const folder = await layAttempt(state, A, { state: "finished", files: { "results/x": 3 } });
  await symlink(outside, join(folder, "results/steps/link.log"));
  await symlink(state, join(folder, "inputs/all"));
  const evidence = openEvidence(state);
  expect(await evidence.bytesOf(A)).toBeLessThan(1000);
  expect(await evidence.logs(A)).toEqual([]);
  await evidence.dropInputs(A);
  expect(existsSync(outside)).toBe(true);
  await evidence.setAside(A, "it is not unreadable");
  expect(existsSync(join(folder, "set-aside.txt"))).toBe(false);
});

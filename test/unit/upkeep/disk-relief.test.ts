import { existsSync } from "node:fs";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { openEvidence } from "#host/state/evidence.ts";
import { KEPT_LOG_BYTES, relieveDisk } from "#host/upkeep/disk-relief.ts";
import { layAttempt, type ShelfOrder } from "#test/kit/attempt-shelf.ts";
import { scratchFolder } from "#test/kit/scratch.ts";

const MIB = 2 ** 20;
const signal = new AbortController().signal;
const nameOf = (digit: string) => `${digit.repeat(16)}-1`;
const [RUNS, OLD, NEW, ASIDE_OLD, ASIDE_NEW] = ["a", "b", "c", "d", "e"].map(nameOf) as [
  string,
  string,
  string,
  string,
  string,
];

const FILES = {
  "output.log": MIB,
  "results/steps/01-build.log": 2 * MIB,
  "results/console.log": KEPT_LOG_BYTES,
  "results/screenshot.png": 1000,
  "results/artifacts/big": 3 * MIB,
  "results/artifacts/small": MIB,
  "inputs/0": MIB,
};

/** As they lie before each test: what runs, two that wait for the service, two that are set aside. */
const SHELVES: Readonly<Record<string, ShelfOrder>> = {
  [RUNS]: { state: "open", minutes: 90, files: FILES },
  [OLD]: { state: "finished", minutes: 60, files: FILES },
  [NEW]: { state: "finished", minutes: 5, files: FILES },
  [ASIDE_OLD]: { state: "aside", minutes: 50, files: { "output.log": MIB } },
  [ASIDE_NEW]: { state: "aside", minutes: 10, files: { "output.log": MIB } },
};

let state: string;
beforeEach(async () => {
  const scratch = await scratchFolder();
  onTestFinished(() => scratch[Symbol.asyncDispose]());
  state = scratch.path;
  for (const [name, order] of Object.entries(SHELVES)) await layAttempt(state, name, order);
});

/** A disk of which so much is used by others, and the rest by what lies in the folder. */
async function relieve(capacityBytes: number) {
  const evidence = openEvidence(state);
  const usedBytes = async () => {
    let bytes = 0;
    for (const { name } of await evidence.list()) bytes += await evidence.bytesOf(name);
    return bytes;
  };
  const disk = { freeBytes: async () => capacityBytes - (await usedBytes()) };
  const marks = { reserveBytes: 10 * MIB, lowBytes: 4 * MIB };
  return await relieveDisk({ disk, evidence }, marks, signal);
}

const at = (name: string, file: string) => join(state, "attempts", name, file);
const bytesOf = async (name: string, file: string) =>
  (await stat(at(name, file)).catch(() => undefined))?.size ?? 0;

/** 28 MiB lie there: 8 and a little of each that has all files, one of each that is set aside. */
const LIE = 3 * (8 * MIB + KEPT_LOG_BYTES) + 2 * MIB + 10_000;

test("with enough free nothing goes", async () => {
  expect(await relieve(LIE + 11 * MIB)).toMatchObject({ isNews: false });
  expect(await bytesOf(OLD, "inputs/0")).toBe(MIB);
});

test("below the reserve inputs of what is over go first, then what was set aside first, and no more than needed", async () => {
  const report = await relieve(LIE + 9 * MIB);
  expect(report.fields).toMatchObject({ inputs: { count: 1, named: [OLD] }, isShort: false });
  expect(await bytesOf(NEW, "inputs/0")).toBe(MIB);
  const more = await relieve(LIE + 7 * MIB - 20_000);
  expect(more.fields).toMatchObject({
    inputs: { count: 1, named: [NEW] },
    evidence: { count: 2, named: [ASIDE_OLD, ASIDE_NEW] },
  });
});

test("between the marks what the service waits for stays, however short the disk remains", async () => {
  const report = await relieve(LIE + MIB);
  expect(report).toMatchObject({ isNews: true, fields: { isShort: true } });
  expect(report.fields).not.toHaveProperty("logs");
  expect(existsSync(at(ASIDE_NEW, "."))).toBe(false);
  // Said once; the disk is as short the next time, and nothing may go.
  expect(await relieve(LIE + MIB)).toMatchObject({ isNews: false, fields: { isShort: true } });
});

test("below the low mark the longest log goes first, of two the older attempt's, and what runs keeps all", async () => {
  const report = await relieve(LIE - MIB);
  expect(report.fields).toMatchObject({
    logs: { count: 1, named: [`${OLD} results/steps/01-build.log`] },
  });
  expect(await bytesOf(OLD, "results/steps/01-build.log")).toBeLessThan(KEPT_LOG_BYTES + 200);
  expect(await bytesOf(NEW, "results/steps/01-build.log")).toBe(2 * MIB);
  for (const [file, bytes] of Object.entries(FILES)) expect(await bytesOf(RUNS, file)).toBe(bytes);
});

test("artifacts go last, the oldest attempt's first, and verdicts, screenshots and short logs never", async () => {
  const some = await relieve(LIE - 7 * MIB);
  expect(some.fields).toMatchObject({
    logs: { count: 4 },
    artifacts: { count: 1, named: [`${OLD} big`] },
  });
  const all = await relieve(0);
  expect(all).toMatchObject({ isNews: true, fields: { isShort: true, artifacts: { count: 3 } } });
  for (const name of [OLD, NEW]) {
    expect(existsSync(at(name, "verdict.json"))).toBe(true);
    expect(await bytesOf(name, "results/screenshot.png")).toBe(1000);
    expect(await bytesOf(name, "results/console.log")).toBe(KEPT_LOG_BYTES);
  }
  for (const [file, bytes] of Object.entries(FILES)) expect(await bytesOf(RUNS, file)).toBe(bytes);
});

import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import type { Entry } from "#host/runner/journal.ts";
import { openAttemptJournal } from "#host/state/attempt-journal.ts";
import { JournalDamaged, lineOf, readJournalText } from "#host/state/journal-text.ts";
import { scratchFolder } from "#test/kit/scratch.ts";

const ENTRIES: readonly Entry[] = [
  { entry: "phase", phase: "leased", atMs: 10 },
  { entry: "phase", phase: "preparing", atMs: 20 },
  { entry: "step-begins", number: 1, atMs: 30 },
  { entry: "verdict", verdict: { kind: "failed", why: "step 'bäh' exited with status 2" } },
];
const HEAD = { format: 1, boot: "boot" };
const LINES = [HEAD, ...ENTRIES].map(lineOf);
const TEXT = Buffer.from(LINES.join(""));

async function place(): Promise<string> {
  const scratch = await scratchFolder();
  onTestFinished(() => scratch[Symbol.asyncDispose]());
  return join(scratch.path, "journal");
}

test("a journal says the next process what this one noted", async () => {
  const path = await place();
  const first = await openAttemptJournal(path);
  expect(first.past).toEqual({ phases: [], isOfEarlierBoot: false, steps: new Map() });
  for (const entry of ENTRIES) await first.note(entry);
  const { past } = await openAttemptJournal(path);
  expect(past).toEqual({
    phases: [
      { phase: "leased", atMs: 10 },
      { phase: "preparing", atMs: 20 },
    ],
    isOfEarlierBoot: false,
    steps: new Map([[1, { atMs: 30 }]]),
    verdict: { kind: "failed", why: "step 'bäh' exited with status 2" },
  });
});

test("cut off at any byte, only the last line is lost", () => {
  for (let length = 0; length <= TEXT.length; length += 1) {
    const { entries, goodBytes } = readJournalText(TEXT.subarray(0, length));
    const whole = LINES.filter(
      (_, at) => Buffer.byteLength(LINES.slice(0, at + 1).join("")) <= length,
    ).length;
    expect(entries.length).toBe(Math.max(0, whole - 1));
    expect(goodBytes).toBe(Buffer.byteLength(LINES.slice(0, whole).join("")));
  }
});

test("a bit that flipped anywhere is noticed, but for the end of the last line, which is as good as not written", () => {
  for (let at = 0; at < TEXT.length - 1; at += 1) {
    const flipped = Buffer.from(TEXT);
    flipped[at] = (flipped[at] ?? 0) ^ 0x10;
    expect(() => readJournalText(flipped), `byte ${at}`).toThrow(JournalDamaged);
  }
  const flipped = Buffer.from(TEXT);
  flipped[TEXT.length - 1] = 0;
  expect(readJournalText(flipped).entries).toEqual(ENTRIES.slice(0, -1));
});

test("what a process that died left of a line is written over", async () => {
  const path = await place();
  const journal = await openAttemptJournal(path);
  await journal.note(ENTRIES[0] as Entry);
  const before = await readFile(path);
  await writeFile(path, Buffer.concat([before, Buffer.from('0123abcd {"entry":"pha')]));
  const next = await openAttemptJournal(path);
  await next.note(ENTRIES[1] as Entry);
  expect(await readFile(path, "utf8")).toBe(`${before}${LINES[2]}`);
});

test("times of an earlier boot are known as such, and a newer format is not touched", async () => {
  const path = await place();
  await writeFile(path, TEXT);
  expect((await openAttemptJournal(path)).past.isOfEarlierBoot).toBe(true);
  const newer = lineOf({ format: 2, boot: "boot" });
  await writeFile(path, newer);
  await expect(openAttemptJournal(path)).rejects.toThrow("newer testbed");
  expect(await readFile(path, "utf8")).toBe(newer);
});

test("entries that are noted at once come one after the other", async () => {
  const path = await place();
  const journal = await openAttemptJournal(path);
  await Promise.all(ENTRIES.map((entry) => journal.note(entry)));
  const { entries } = readJournalText(await readFile(path));
  expect(entries).toEqual(ENTRIES);
});

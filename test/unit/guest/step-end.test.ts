import { appendFile, readFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { LogFile } from "#host/guest/log-file.ts";
import { outcomeOf, readStepEnd } from "#host/guest/step-end.ts";
import { scratchFolder } from "#test/kit/scratch.ts";

const ENDS = [
  ["end ended code 0 5", { outcome: "passed", exitCode: 0 }],
  ["end ended code 3 5", { outcome: "failed", exitCode: 3 }],
  ["end ended code 137 5", { outcome: "failed", exitCode: 137 }],
  ["end ended signal 137 5", { outcome: "failed", signal: "KILL" }],
  ["end ended signal 139 unknown", { outcome: "failed", signal: "SEGV" }],
  ["end timed-out signal 143 5", { outcome: "timed-out", signal: "TERM" }],
  ["end timed-out code 0 5", { outcome: "timed-out", exitCode: 0 }],
  ["end silent signal 137 5", { outcome: "silent", signal: "KILL" }],
  ["end cancelled signal 143 5", { outcome: "failed", signal: "TERM" }],
  ["end ended signal 255 5", { outcome: "failed", exitCode: 255 }],
] as const;

test.each(ENDS)("%s", (line, expected) => {
  const says = readStepEnd(`chatter before\n${line}\n`);
  expect(says && outcomeOf(says)).toEqual(expected);
});

test("what is lost has no number, and is told from what is not known yet", () => {
  const [lost, unknown] = ["lost", "unknown"].map((total) =>
    readStepEnd(`end ended code 0 ${total}`),
  );
  expect(lost).toMatchObject({ printedBytes: undefined, isLost: true });
  expect(unknown).toMatchObject({ printedBytes: undefined, isLost: false });
});

test("whatever else a runner says is no end, and reading it never throws", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      expect(readStepEnd(text)).toBeUndefined();
    }),
  );
  for (const bad of ["end ended code -1 5", "end ended code 1000 5", "end won code 0 5", "lost"]) {
    expect(readStepEnd(bad)).toBeUndefined();
  }
});

test("a log file takes exactly its limit, and one cut line, also when it is opened again", async () => {
  await using folder = await scratchFolder();
  const path = join(folder.path, "log");
  await appendFile(path, "01234");
  {
    await using log = await LogFile.open(path, 8);
    expect(log.bytes).toBe(5);
    expect((await log.append(Buffer.from("56789"))).toString()).toBe("567");
    expect((await log.append(Buffer.from("more"))).length).toBe(0);
    expect(log.isFull).toBe(true);
    await log.cut(6);
    expect((await log.cut(6)).length).toBe(0);
  }
  await using again = await LogFile.open(path, 8);
  expect(again.bytes).toBe(8);
  expect((await again.cut(6)).length).toBe(0);
  expect(await readFile(path, "utf8")).toBe(
    "01234567\n[testbed: log cut here after 8 bytes; the step printed 6 more]\n",
  );
});

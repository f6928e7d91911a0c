import { expect, test } from "vitest";
import { progressRow, progressWords } from "#cli/image/progress-bar.ts";
import { widthOf } from "#lib/terminal-rows.ts";

const MIB = 2 ** 20;

test("progress in words says how much of how much", () => {
  expect(progressWords("reading", 0, 0)).toBe("reading: 0 B of 0 B (100 %)");
  expect(progressWords("reading", 5 * MIB, 12 * MIB)).toBe("reading: 5.0 MiB of 12.0 MiB (41 %)");
});

test("progress as a row has a bar that fills", () => {
  const row = (done: number) => progressRow("fetching lab", done * MIB, 10 * MIB, 100);
  expect(row(0)).toBe(`fetching lab  [${".".repeat(30)}]    0 %  0 B of 10.0 MiB`);
  expect(row(5)).toBe(
    `fetching lab  [${"#".repeat(15)}${".".repeat(15)}]   50 %  5.0 MiB of 10.0 MiB`,
  );
  expect(row(10)).toContain(`[${"#".repeat(30)}]  100 %`);
  // A server that sends more than it said is refused elsewhere; until then the bar is full.
  expect(row(11)).toContain("100 %");
});

test.each([20, 40, 79, 80, 100, 200])("progress fits a terminal of %i columns", (columns) => {
  const names = ["fetching a", `fetching ${"a-very-long-name".repeat(9)}`, "fetching 名前名前"];
  for (const what of names)
    expect(widthOf(progressRow(what, 5 * MIB, 1023 * MIB, columns))).toBeLessThan(columns);
});

import { expect, test } from "vitest";
import { ageOf, between } from "#cli/client/ages.ts";
import { type Column, tableOf } from "#cli/client/columns.ts";
import { factsOf } from "#cli/client/facts.ts";
import { widthOf } from "#lib/terminal-rows.ts";

type Row = { readonly name: string; readonly count: number };

const COLUMNS: readonly Column<Row>[] = [
  { head: "NAME", cell: ({ name }) => name, least: 6 },
  { head: "N", cell: ({ count }) => String(count), isRight: true },
];

test("columns are aligned by what a terminal shows, numbers to the right", () => {
  const rows = [
    { name: "a", count: 1 },
    { name: "日本", count: 100 },
  ];
  expect(tableOf(COLUMNS, rows)).toBe("NAME    N\na       1\n日本  100\n");
});

test("on a narrow terminal the columns that may be cut are cut, down to their least", () => {
  const rows = [{ name: "a-long-name-of-something", count: 7 }];
  const lines = tableOf(COLUMNS, rows, 20).split("\n");
  expect(lines[1]).toBe("a-long-name-of-s…  7");
  expect(widthOf(tableOf(COLUMNS, rows, 3).split("\n")[1] ?? "")).toBe(9);
  expect(tableOf(COLUMNS, rows)).toContain("a-long-name-of-something");
});

test("what others wrote cannot move the cursor or begin a line", () => {
  const table = tableOf(COLUMNS, [{ name: "\u001b[2J\nx", count: 1 }]);
  expect(table).toContain("\\u{1b}[2J\\u{a}x");
  expect(
    factsOf([
      ["a", "one\ntwo\u0007"],
      ["long", undefined],
      ["bc", "x"],
    ]),
  ).toBe("a   one\n    two\\u{7}\nbc  x\n");
});

test.each([
  [0, "0 s"],
  [-5_000, "0 s"],
  [89_000, "89 s"],
  [90_000, "1 m"],
  [89 * 60_000, "89 m"],
  [90 * 60_000, "1 h"],
  [35 * 3_600_000, "35 h"],
  [36 * 3_600_000, "1 d"],
  [400 * 86_400_000, "400 d"],
])("%i ms ago is %s", (ms, words) => {
  const now = Date.parse("2030-01-02T03:04:05.678Z");
  expect(ageOf(new Date(now - ms).toISOString(), now)).toBe(words);
  expect(between(new Date(now - ms).toISOString(), undefined, now)).toBe(words);
});

import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { outcomeOf } from "#test/e2e/drills/outcome.ts";
import { titleOf } from "#test/e2e/drills/row.ts";
import { ROWS } from "#test/e2e/drills/rows.ts";
import { readSoak, SoakUsage } from "#test/e2e/drills/soak/order.ts";
import { ROOT } from "#test/kit/house.ts";

/** Numbers of the list of faults, sections A to G, in its order; those between were given up before there was a table. */
const NUMBERS = `
  1 2 4 5 6 7 8 9 10 11 12 13 14 15 16 17 19 20 21 22 23 24 26
  27 28 29 30 31 32 33 34 35 37 38 40 41 42
  43 44 45 47 48 49 50 51 52 53 55 56 57 58 59
  60 62 63
  64 65 66 67 68 70 71 72 74 75 76 77
  78 79 80 82 83 84 86 88 89 90 92 93 94
  95 96 98 99 101`;

test("no fault of the list is missing from the table", () => {
  const wanted = NUMBERS.trim()
    .split(/\s+/)
    .map((number) => `F-${number.padStart(2, "0")}`);
  const there = new Set(ROWS.map(({ id }) => id));
  expect(wanted.filter((id) => !there.has(id))).toEqual([]);
});

test("each row has a title of its own, and those that are proven elsewhere name files that are there", () => {
  const titles = ROWS.map(titleOf);
  expect(titles.filter((title, at) => titles.indexOf(title) !== at)).toEqual([]);
  const files = ROWS.flatMap((row) => ("provenBy" in row ? row.provenBy : []));
  expect(files.filter(({ file }) => !existsSync(join(ROOT, file)))).toEqual([]);
});

test("a row survives when all its tests passed, and not when one is missing or failed", () => {
  const row = {
    id: "F-00",
    phase: "any",
    fault: "a fault",
    where: "fakes",
    provenBy: [{ file: "test/unit/a.test.ts", test: "both * are (there)" }],
  } as const;
  const run = (name: string, isPassed: boolean) => {
    return { file: "test/unit/a.test.ts", name, isPassed, seconds: 2, says: "a reason" };
  };
  const both = [run("both a are (there)", true), run("both b are (there)", true)];
  expect(outcomeOf(row, both)).toMatchObject({ kind: "survived", seconds: 4 });
  expect(outcomeOf(row, [...both, run("both c are (there)", false)])).toMatchObject({
    kind: "failed",
    says: "a reason",
  });
  expect(outcomeOf(row, [run("both", true)])).toMatchObject({ kind: "failed" });
});

test("a soak has lengths of its own, which the command line changes, and a seed", () => {
  const asked = readSoak(["storm", "--kills", "7", "--seed", "3"]);
  expect(asked).toMatchObject({ name: "storm", order: { kills: 7, jobs: 20, seed: 3 } });
  expect(readSoak(["--help"])).toBeUndefined();
  for (const wrong of [[], ["breeze"], ["storm", "--kills", "many"], ["storm", "--wind"]])
    expect(() => readSoak(wrong)).toThrow(SoakUsage);
});

import { expect, test } from "vitest";
import { compare, OURS, weigh } from "#bench/goal.ts";
import { isRoundDue, pairsOf, type Round } from "#bench/pairs.ts";
import { targetsOf } from "#bench/report.ts";

const round = (oursMs: number, theirsMs: number | undefined, isNoisy = false): Round => ({
  ms: { [OURS]: oursMs, ...(theirsMs === undefined ? {} : { other: theirsMs }) },
  isNoisy,
});

test("the ratio is the median of the pairs' ratios, not the ratio of the medians", () => {
  const pairs = [
    { oursMs: 1, theirsMs: 10 },
    { oursMs: 50, theirsMs: 100 },
    { oursMs: 90, theirsMs: 100 },
  ];
  const { ratio, oursMs, theirsMs } = compare({ against: "other", of: "time" }, pairs);
  expect(ratio).toEqual({ median: 0.5, min: 0.1, max: 0.9 });
  expect([oursMs, theirsMs]).toEqual([50, 100]);
});

test.each([
  { of: "time", limit: 0.5, oursMs: 50, isMet: true },
  { of: "time", limit: 0.5, oursMs: 51, isMet: false },
  { of: "speed", limit: 2, oursMs: 50, isMet: true },
  { of: "speed", limit: 2, oursMs: 51, isMet: false },
] as const)("$oursMs ms against 100 ms, $of with a limit of $limit: met is $isMet", (row) => {
  const { of, limit, oursMs, isMet } = row;
  expect(compare({ against: "other", of, limit }, [{ oursMs, theirsMs: 100 }]).isMet).toBe(isMet);
});

test("without a limit nothing is met or missed", () => {
  const comparison = compare({ against: "other", of: "time" }, [{ oursMs: 1, theirsMs: 1 }]);
  expect(comparison).not.toHaveProperty("isMet");
  expect(weigh("memory", "MiB", { values: [1] })).not.toHaveProperty("isMet");
});

test("an amount is met at its limit", () => {
  expect(weigh("memory", "MiB", { values: [1, 16, 99], limit: 16 }).isMet).toBe(true);
  expect(weigh("memory", "MiB", { values: [1, 17, 99], limit: 16 }).isMet).toBe(false);
});

test("a round in which a slow side sat out makes no pair", () => {
  expect(pairsOf([round(1, 2), round(3, undefined)], { against: "other", of: "time" })).toEqual([
    { oursMs: 1, theirsMs: 2 },
  ]);
});

test("noisy rounds are left out as long as half of them remain", () => {
  const goal = { against: "other", of: "time" } as const;
  expect(pairsOf([round(1, 2), round(9, 9, true)], goal)).toHaveLength(1);
  expect(pairsOf([round(1, 2), round(9, 9, true), round(8, 8, true)], goal)).toHaveLength(3);
});

test("a pair may be of two sides of which neither is ours", () => {
  const rounds = [{ ms: { left: 1, right: 4 }, isNoisy: false }];
  const goal = { side: "left", against: "right", of: "speed", limit: 4 } as const;
  expect(compare(goal, pairsOf(rounds, goal))).toMatchObject({ side: "left", isMet: true });
});

test("targets are counted over comparisons and amounts alike, those without a limit left out", () => {
  const pairs = [{ oursMs: 1, theirsMs: 2 }];
  const findings = [
    {
      name: "work",
      comparisons: [
        compare({ against: "other", of: "time", limit: 1 }, pairs),
        compare({ against: "other", of: "speed", limit: 3 }, pairs),
        compare({ against: "other", of: "time" }, pairs),
      ],
      amounts: [weigh("memory", "MiB", { values: [1], limit: 2 })],
      rounds: 1,
      noisyRounds: 0,
    },
  ];
  expect(targetsOf([{ part: "b", title: "", findings }])).toEqual({ met: 2, missed: 1 });
});

test.each([
  { taken: 4, wanted: 15, elapsedMs: 99, budgetMs: 10, isDue: true },
  { taken: 5, wanted: 15, elapsedMs: 99, budgetMs: 10, isDue: false },
  { taken: 5, wanted: 15, elapsedMs: 9, budgetMs: 10, isDue: true },
  { taken: 5, wanted: 15, elapsedMs: 99, budgetMs: undefined, isDue: true },
  { taken: 15, wanted: 15, elapsedMs: 0, budgetMs: 10, isDue: false },
  { taken: 3, wanted: 3, elapsedMs: 0, budgetMs: undefined, isDue: false },
])(
  "after $taken of $wanted rounds and $elapsedMs of $budgetMs ms another is due: $isDue",
  (row) => {
    const { taken, wanted, elapsedMs, budgetMs, isDue } = row;
    expect(isRoundDue({ taken, wanted }, elapsedMs, budgetMs)).toBe(isDue);
  },
);

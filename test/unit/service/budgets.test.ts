import { expect, test } from "vitest";
import { BodyBudget } from "#service/api/body-budget.ts";
import { Tally } from "#service/api/tally.ts";

test("a budget of bodies is shared, each has its part, and what is given back is free again", () => {
  const budget = new BodyBudget({ all: 100, ofOne: 60 });
  const first = budget.take("a", 50);
  expect(budget.take("a", 20)).toBe("ofOne");
  const second = budget.take("b", 50);
  expect(budget.take("c", 1)).toBe("all");
  if (typeof second === "string" || typeof first === "string") throw new Error("no room");
  second[Symbol.dispose]();
  second[Symbol.dispose]();
  expect(typeof budget.take("c", 50)).toBe("object");
  expect(budget.take("b", 50)).toBe("all");
  first[Symbol.dispose]();
  expect(typeof budget.take("a", 50)).toBe("object");
});

test("a body that is larger than the budget gets through when nothing else is there", () => {
  const budget = new BodyBudget({ all: 10, ofOne: 5 });
  const large = budget.take("a", 50);
  expect(typeof large).toBe("object");
  expect(budget.take("b", 1)).toBe("all");
});

test("a tally counts what is there and what was allowed, looks once, and again after an error", async () => {
  let looks = 0;
  const tally = new Tally(async () => {
    looks += 1;
    if (looks === 1) throw new Error("the disk went wrong");
    return new Map([["a", 4]]);
  });
  const allowance = { bytesMax: 10, countMax: 2 };
  await expect(tally.claim("b", 1, allowance)).rejects.toThrow("went wrong");
  const claims = [
    ["b", 7],
    ["b", 6],
    ["b", 2],
    ["c", 0],
    ["a", 5],
    ["a", 4],
  ] as const;
  const got = [];
  for (const [name, bytes] of claims) got.push(await tally.claim(name, bytes, allowance));
  expect(got).toEqual([false, true, true, false, false, true]);
  expect([await tally.of("b"), await tally.of("c"), looks]).toEqual([6, 0, 2]);
});

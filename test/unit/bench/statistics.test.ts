import fc from "fast-check";
import { expect, test } from "vitest";
import { quantile, spread } from "#bench/statistics.ts";

test("the median of an odd number of values is the middle one, whatever their order", () => {
  expect(spread([9, 1, 5])).toEqual({ median: 5, min: 1, max: 9 });
});

test("the median of an even number of values lies between the middle two", () => {
  expect(spread([4, 1, 2, 100]).median).toBe(3);
});

test("numbers are sorted as numbers, not as text", () => {
  expect(quantile([100, 9, 20], 0.5)).toBe(20);
});

test("quantiles are interpolated between neighbours", () => {
  expect(quantile([0, 10], 0.25)).toBe(2.5);
  expect(quantile([0, 10, 20], 1)).toBe(20);
});

test("nothing has no median", () => {
  expect(() => spread([])).toThrow(RangeError);
});

test("a median lies between the extremes, and the values are left as they were", () => {
  const values = fc.array(fc.double({ noNaN: true, min: 0, max: 1e12 }), { minLength: 1 });
  fc.assert(
    fc.property(values, (list) => {
      const before = [...list];
      const { median, min, max } = spread(list);
      expect(median).toBeGreaterThanOrEqual(min);
      expect(median).toBeLessThanOrEqual(max);
      expect(list).toEqual(before);
    }),
  );
});

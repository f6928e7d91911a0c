import { expect, test } from "vitest";
import { parseDurationSeconds, parseSizeMiB, suggestUnit } from "#job/units.ts";

test("sizes are whole numbers with a binary unit", () => {
  expect(["1MiB", "512MiB", "2GiB", "1TiB"].map(parseSizeMiB)).toEqual([1, 512, 2048, 1_048_576]);
  for (const wrong of [
    "",
    "0MiB",
    "-1GiB",
    "1GB",
    "1",
    "1.5GiB",
    " 1GiB",
    "1gib",
    "999999999MiB",
  ]) {
    expect(parseSizeMiB(wrong)).toBeUndefined();
  }
});

test("durations are whole numbers with one unit", () => {
  expect(["1s", "90s", "30m", "1h", "2d"].map(parseDurationSeconds)).toEqual([
    1, 90, 1800, 3600, 172_800,
  ]);
  for (const wrong of ["", "0s", "-1s", "1h30m", "1.5h", "90", "1ms", "1H"]) {
    expect(parseDurationSeconds(wrong)).toBeUndefined();
  }
});

test("what was perhaps meant is proposed, and only that", () => {
  expect(suggestUnit("1GB", "size")).toBe("1GiB");
  expect(suggestUnit("512 m", "size")).toBe("512MiB");
  expect(suggestUnit("90", "duration")).toBe("90s");
  expect(suggestUnit("5 min", "duration")).toBe("5m");
  expect(suggestUnit("constructor", "size")).toBeUndefined();
  expect(suggestUnit("5 __proto__", "duration")).toBeUndefined();
  expect(suggestUnit("1", "size")).toBeUndefined();
});

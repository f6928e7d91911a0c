import { expect, test } from "vitest";
import { ArgumentsError, readArguments } from "#bench/arguments.ts";

test("without options everything is measured and shown as a table", () => {
  const { parts, pairs, isJson, isStrict } = readArguments([]);
  expect({ parts, pairs, isJson, isStrict }).toEqual({
    parts: ["a", "b", "c"],
    pairs: undefined,
    isJson: false,
    isStrict: false,
  });
});

test("parts and the number of pairs can be chosen", () => {
  expect(readArguments(["--only", "c,a", "--pairs", "7"])).toMatchObject({
    parts: ["c", "a"],
    pairs: 7,
  });
});

test.each([
  ["--only", "d"],
  ["--only", ""],
  ["--only", "toString"],
  ["--pairs", "0"],
  ["--pairs", "many"],
  ["--nonsense"],
])("%s %s means nothing", (...args) => {
  expect(() => readArguments(args.filter((word) => word !== undefined))).toThrow(ArgumentsError);
});

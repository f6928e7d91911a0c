import { expect, test } from "vitest";
import { ArgumentsError, readArguments } from "#bench/arguments.ts";

test("without options everything is measured and shown as a table", () => {
  const { parts, pairs, isJson, isStrict } = readArguments([]);
  expect({ parts, pairs, isJson, isStrict }).toEqual({
    parts: ["a", "b", "c", "service"],
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

test("a part is named with or without the option", () => {
  expect(readArguments(["service"]).parts).toEqual(["service"]);
  expect(readArguments(["--only", "a", "service"]).parts).toEqual(["a", "service"]);
});

test.each([
  ["nonsense"],
  ["--only", "d"],
  ["--only", ""],
  ["--only", "toString"],
  ["--pairs", "0"],
  ["--pairs", "many"],
  ["--nonsense"],
])("%s %s means nothing", (...args) => {
  expect(() => readArguments(args.filter((word) => word !== undefined))).toThrow(ArgumentsError);
});

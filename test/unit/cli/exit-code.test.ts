import { Ajv2020 } from "ajv/dist/2020.js";
import { CommanderError } from "commander";
import { expect, test } from "vitest";
import { errorSchema } from "#cli/error-schema.ts";
import { errorDocument, exitCodeOf, explainError, UsageError } from "#cli/exit-code.ts";
import { ConfigError } from "#config/config-error.ts";
import { Fault, type FaultCode } from "#job/fault.ts";
import { JobFileError } from "#job/job-file-kind.ts";
import { Ended, reportOf } from "#job/verdict.ts";

test("each verdict has its exit status", () => {
  const broken = (code: FaultCode) =>
    ({ kind: "broken", fault: reportOf(new Fault(code, "x")) }) as const;
  expect(exitCodeOf({ kind: "passed" })).toBe(0);
  expect(exitCodeOf({ kind: "failed" })).toBe(1);
  expect(exitCodeOf(broken("image-unknown"))).toBe(2);
  expect(exitCodeOf(broken("disk-too-small"))).toBe(2);
  expect(exitCodeOf(broken("image-unbootable"))).toBe(3);
  expect(exitCodeOf({ kind: "timed-out" })).toBe(4);
  expect(exitCodeOf({ kind: "cancelled" })).toBe(130);
});

test.each([
  [new CommanderError(0, "commander.helpDisplayed", "x"), 0, ""],
  [new CommanderError(1, "commander.unknownOption", "x"), 2, ""],
  [new UsageError("no"), 2, "no"],
  [new ConfigError("no"), 2, "no"],
  [
    new JobFileError("f", [{ place: { line: 1, column: 2 }, path: "a", says: "b" }]),
    2,
    "f:1:2: a: b",
  ],
  [new Ended("cancelled", "stopped"), 130, "stopped"],
  [new Fault("libvirt-unreachable", "no libvirt"), 3, "no libvirt"],
  [new Error("outer", { cause: new Fault("host-disk-full", "full") }), 3, "full"],
])("%s is told in words and an exit status", (error, exitCode, words) => {
  expect(explainError(error)).toEqual({ exitCode, words });
});

test("an unknown error is never taken for a failed job, and shows where it came from", () => {
  expect(explainError(new TypeError("x is not a function"))).toEqual({
    exitCode: 3,
    words: expect.stringMatching(/went wrong: TypeError: x is not a function\n +at /),
  });
  expect(explainError("text").exitCode).toBe(3);
});

test("who asked for JSON gets the same words, and each problem with its place, as the schema says", () => {
  const isError = new Ajv2020({ strict: true }).compile(errorSchema);
  const problems = [
    { place: { line: 1, column: 2 }, path: "a", says: "b" },
    { place: { option: "--set a=b" }, path: "", says: "c" },
  ];
  const wrongJob = errorDocument(new JobFileError("f", problems));
  expect(wrongJob).toEqual({
    error: { exitCode: 2, message: "f:1:2: a: b\n--set a=b: c", problems },
  });
  expect(isError(wrongJob), JSON.stringify(isError.errors)).toBe(true);
  const wrongOption = errorDocument(new CommanderError(1, "x", "unknown option"));
  expect(wrongOption).toEqual({ error: { exitCode: 2, message: "unknown option" } });
  for (const error of [new Ended("cancelled", "x"), new Fault("host-no-room", "x"), "text"])
    expect(isError(errorDocument(error))).toBe(true);
  expect(errorDocument(new CommanderError(0, "commander.helpDisplayed", "x"))).toBeUndefined();
});

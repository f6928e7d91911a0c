import { CommanderError } from "commander";
import { expect, test } from "vitest";
import { errorDocument, exitCodeOf, explainError, UsageError } from "#cli/exit-code.ts";
import { ConfigError } from "#config/config.ts";
import { Fault, type FaultCode } from "#job/fault.ts";
import { JobFileError } from "#job/job-file-problem.ts";
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

test("who asked for JSON gets the same words, and each problem with its place", () => {
  const problems = [{ place: { line: 1, column: 2 }, path: "a", says: "b" }];
  expect(errorDocument(new JobFileError("f", problems), 2)).toEqual({
    exitCode: 2,
    message: "f:1:2: a: b",
    problems,
  });
  expect(errorDocument(new CommanderError(1, "x", "unknown option"), 2)).toEqual({
    exitCode: 2,
    message: "unknown option",
  });
});

import { CommanderError } from "commander";
import { ServiceError } from "#cli/client/service-error.ts";
import { ConfigError } from "#config/config-error.ts";
import { Fault, type FaultCode } from "#job/fault.ts";
import { JobFileError } from "#job/job-file-kind.ts";
import { Ended, type Verdict } from "#job/verdict.ts";
import type { ErrorDocument } from "./error-schema.ts";
import { OutputError } from "./print-answer.ts";

/** What the shell gets. 130 is what a shell says of a command that Ctrl-C ended. */
export const EXIT_CODES = {
  passed: 0,
  failed: 1,
  wrong: 2,
  broken: 3,
  "timed-out": 4,
  cancelled: 130,
} as const;

/** The command line asks for something that cannot be: nothing was started. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** What was asked for went wrong outside of the program, and the message says all there is to say. */
export class BrokenError extends Error {
  override readonly name = "BrokenError";
}

/** Faults that are mistakes of the job file, though they show only when its image is looked up: nothing was started. */
const MISTAKES: readonly string[] = ["image-unknown", "disk-too-small"] satisfies FaultCode[];

/** The exit status of a job. */
export function exitCodeOf(verdict: {
  readonly kind: Verdict["kind"];
  readonly fault?: { readonly code: string };
}): number {
  const isMistake = verdict.fault !== undefined && MISTAKES.includes(verdict.fault.code);
  return isMistake ? EXIT_CODES.wrong : EXIT_CODES[verdict.kind];
}

type Explained = {
  readonly exitCode: Exclude<(typeof EXIT_CODES)[keyof typeof EXIT_CODES], 1>;
  readonly words: string;
};

/**
 * What a thrown error means to who typed the command: the exit status, and the words for standard error (none when they
 * were said already). An error of no known kind is our own bug and shows its stack.
 */
export function explainError(error: unknown): Explained {
  if (error instanceof CommanderError) {
    // Help and version were asked for and end well; commander has printed whatever there is to say.
    return { exitCode: error.exitCode === 0 ? EXIT_CODES.passed : EXIT_CODES.wrong, words: "" };
  }
  if (
    error instanceof UsageError ||
    error instanceof ConfigError ||
    error instanceof JobFileError
  ) {
    return { exitCode: EXIT_CODES.wrong, words: error.message };
  }
  if (error instanceof OutputError || error instanceof BrokenError)
    return { exitCode: EXIT_CODES.broken, words: error.message };
  if (error instanceof ServiceError) return { exitCode: error.exitCode, words: error.message };
  const ended = Ended.in(error);
  if (ended !== undefined) return { exitCode: EXIT_CODES[ended.kind], words: ended.message };
  const fault = Fault.from(error);
  if (fault.code !== "bug") return { exitCode: EXIT_CODES.broken, words: fault.message };
  const stack = error instanceof Error ? error.stack : String(error);
  return { exitCode: EXIT_CODES.broken, words: `testbed itself went wrong: ${stack}` };
}

/**
 * What `--json` prints in place of an answer: the same words, and each problem of a file with its place. Undefined
 * when nothing is wrong: help and version are thrown too.
 */
export function errorDocument(error: unknown): ErrorDocument | undefined {
  const { exitCode, words } = explainError(error);
  if (exitCode === EXIT_CODES.passed) return undefined;
  const message = words === "" && error instanceof Error ? error.message : words;
  const isOfFile = error instanceof JobFileError || error instanceof ConfigError;
  const found = isOfFile ? error.problems : undefined;
  const problem = error instanceof ServiceError ? error.problem : undefined;
  return {
    error: {
      exitCode,
      message,
      ...(problem && { problem }),
      ...(found && { problems: [...found] }),
    },
  };
}

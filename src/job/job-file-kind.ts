import type { FileKind } from "#lib/file-kind.ts";
import { inOrder, type Problem } from "#lib/file-problem.ts";

/**
 * The job file, or what the command line changes in it, is wrong: nothing was started. The message has one line for each
 * problem, in the order of the file.
 */
export class JobFileError extends Error {
  override readonly name = "JobFileError";
  readonly problems: readonly Problem[];

  constructor(file: string, problems: readonly Problem[], more: { cause?: unknown } = {}) {
    const { sorted, message } = inOrder(file, problems);
    super(message, more);
    this.problems = sorted;
  }
}

export const JOB_FILE: FileKind = {
  name: "job file",
  // Far more than any job needs.
  bytesMax: 1024 * 1024,
  // A script in a block scalar is one lexeme; a job file at all its limits has some 10,000.
  lexemesMax: 50_000,
  empty: "is empty; the least that a job has is an image and a step",
  refusal: (file, problems, more) => new JobFileError(file, problems, more),
};

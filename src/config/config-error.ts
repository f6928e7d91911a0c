import { inOrder, type Problem } from "#lib/file-problem.ts";

/**
 * The configuration cannot be used: nothing was started. The message has one line for each thing wrong, with its place:
 * a variable of the environment, or file, line, column and key.
 */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  /** What is wrong with a file, in its order; undefined when no file is at fault. */
  readonly problems: readonly Problem[] | undefined;

  constructor(
    message: string,
    { problems, cause }: { readonly problems?: readonly Problem[]; readonly cause?: unknown } = {},
  ) {
    super(message, { cause });
    this.problems = problems;
  }

  /** What is wrong with a configuration file. */
  static ofFile(file: string, found: readonly Problem[], more: { cause?: unknown } = {}) {
    const { sorted, message } = inOrder(file, found);
    return new ConfigError(message, { problems: sorted, ...more });
  }
}

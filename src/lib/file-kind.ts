import type { Problem } from "./file-problem.ts";

/** A kind of YAML file that people write: what it is called, how much it may hold, and how a bad one is refused. */
export type FileKind = {
  /** As it stands in messages: `job file`. */
  readonly name: string;
  /** The longest file, in bytes; checked before anything is read. */
  readonly bytesMax: number;
  /**
   * The most tokens of YAML's lexer in one file. Bounds the parser's time: below a second for 50,000, where a million
   * brackets take 13 s.
   */
  readonly lexemesMax: number;
  /** What is wrong with a file that holds nothing; undefined when that is as good as an empty mapping. */
  readonly empty?: string;
  /** The error that says what is wrong with `file`, as an `Error` of the caller's own class. */
  refusal(file: string, problems: readonly Problem[], more?: { cause?: unknown }): Error;
};

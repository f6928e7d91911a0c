import { printable } from "#lib/printable.ts";

/** Where something stands: in the file (lines and columns from 1), or on the command line. */
export type Place =
  | { readonly line: number; readonly column: number }
  | { readonly option: string };

/** One thing wrong with a job file. */
export type Problem = {
  readonly place: Place;
  /** Dotted path of the key, `steps.0.run`; empty for the file as a whole. */
  readonly path: string;
  /** What is wrong, what was perhaps meant, what is allowed. */
  readonly says: string;
};

const PROBLEMS_SHOWN_MAX = 50;
const SAYS_CHARACTERS_MAX = 600;

/**
 * The job file, or what the command line changes in it, is wrong: nothing was started. The message has one line for each
 * problem, in the order of the file, fit for a terminal; what is the same in every word is said once.
 */
export class JobFileError extends Error {
  override readonly name = "JobFileError";
  readonly problems: readonly Problem[];

  constructor(file: string, problems: readonly Problem[], more: { cause?: unknown } = {}) {
    const sorted = distinct(file, problems).sort(inOrder);
    const lines = sorted.slice(0, PROBLEMS_SHOWN_MAX).map((problem) => lineOf(file, problem));
    const hidden = sorted.length - lines.length;
    if (hidden > 0) lines.push(`${printable(file)}: and ${hidden} more`);
    super(lines.join("\n"), more);
    this.problems = sorted;
  }
}

/** A dotted path as people read it. */
export function dotted(path: readonly string[]): string {
  return printable(path.join("."), 200);
}

function lineOf(file: string, { place, path, says }: Problem): string {
  const where =
    "option" in place
      ? printable(place.option)
      : `${printable(file)}:${place.line}:${place.column}`;
  return `${where}: ${path === "" ? "" : `${path}: `}${printable(says, SAYS_CHARACTERS_MAX)}`;
}

/** YAML's parser may say one thing of one place once for each bracket that is open there. */
function distinct(file: string, problems: readonly Problem[]): Problem[] {
  return [...new Map(problems.map((problem) => [lineOf(file, problem), problem])).values()];
}

/** The file's problems from top to bottom, then those of the command line. */
function inOrder({ place: a }: Problem, { place: b }: Problem): number {
  if ("option" in a || "option" in b) return Number("option" in a) - Number("option" in b);
  return a.line - b.line || a.column - b.column;
}

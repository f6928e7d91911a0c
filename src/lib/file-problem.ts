import { printable } from "./printable.ts";
import type { Violation } from "./validate.ts";

/** Where something stands: in the file (lines and columns from 1), or on the command line. */
export type Place =
  | { readonly line: number; readonly column: number }
  | { readonly option: string };

/** One thing wrong with a file that somebody wrote. */
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
 * The problems in the order of the file, what is the same in every word once; and a message with one line for each of
 * them, fit for a terminal.
 */
export function inOrder(
  file: string,
  problems: readonly Problem[],
): { readonly sorted: readonly Problem[]; readonly message: string } {
  const sorted = distinct(file, problems).sort(byPlace);
  const lines = sorted.slice(0, PROBLEMS_SHOWN_MAX).map((problem) => lineOf(file, problem));
  const hidden = sorted.length - lines.length;
  if (hidden > 0) lines.push(`${printable(file)}: and ${hidden} more`);
  return { sorted, message: lines.join("\n") };
}

/** A dotted path as people read it. */
export function dotted(path: readonly string[]): string {
  return printable(path.join("."), 200);
}

/** What the schema says, at its place; `meant` is put between what is wrong and what is allowed. */
export function problemOf({ path, says }: Violation, place: Place, meant?: string): Problem {
  const guess = meant === undefined ? [] : [`did you mean '${meant}'?`];
  const words = [...says.slice(0, 1), ...guess, ...says.slice(1)];
  return { place, path: dotted(path), says: words.join("; ") };
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
function byPlace({ place: a }: Problem, { place: b }: Problem): number {
  if ("option" in a || "option" in b) return Number("option" in a) - Number("option" in b);
  return a.line - b.line || a.column - b.column;
}

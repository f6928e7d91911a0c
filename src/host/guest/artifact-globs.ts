import type { Refusal } from "#job/verdict.ts";
import { printable } from "#lib/printable.ts";

/**
 * What an artifact pattern matches, in the guest, by its shell:
 *
 * - absolute (`/build/out/*.xml`), or relative to the login's home (`out/report.xml`);
 * - `*`, `?` and `[…]` within one part of a path, where `*` does not match a leading dot;
 * - `**` as a whole part: any number of folders, none and hidden ones included; links to folders are not followed;
 * - a folder stands for all files below it, and so does a pattern that ends in `**`.
 *
 * A file comes home under its path in the guest without the leading slash, or relative to home.
 */
export type Globs = {
  /** `/` or `.`, the login's home. */
  readonly base: "/" | ".";
  /** Patterns as the runner takes them: beginning with `./`, `**` only as a whole part in the middle. */
  readonly runnerPatterns: readonly string[];
  /** The same patterns as the job says them, for refusals. */
  readonly patterns: readonly string[];
};

const PATTERN_BYTES_MAX = 1024;

/** Sorts patterns by what they are relative to; those that cannot be used are refused, with a reason. */
export function sortGlobs(patterns: readonly string[]): { globs: Globs[]; refused: Refusal[] } {
  const refused: Refusal[] = [];
  const usable = patterns.filter((pattern) => {
    const why = complaintOf(pattern);
    if (why !== undefined) refused.push({ name: printable(pattern), why });
    return why === undefined;
  });
  const of = (base: Globs["base"]): Globs => {
    const own = usable.filter((pattern) => pattern.startsWith("/") === (base === "/"));
    return { base, patterns: own, runnerPatterns: own.map(runnerPattern) };
  };
  return { globs: [of("/"), of(".")].filter((glob) => glob.patterns.length > 0), refused };
}

/** Why a pattern cannot be used; undefined when it can. */
function complaintOf(pattern: string): string | undefined {
  if (pattern === "") return "the pattern is empty";
  if (Buffer.byteLength(pattern) > PATTERN_BYTES_MAX) return "the pattern is too long";
  if (/\p{Cc}/u.test(pattern)) return "the pattern has control characters";
  if (pattern.includes("\\")) return "the pattern has a backslash";
  if (pattern.split("/").includes("..")) return "the pattern has a part `..`";
  return undefined;
}

function runnerPattern(pattern: string): string {
  const parts = pattern.split("/").filter((part) => part !== "" && part !== ".");
  const collapsed = parts.filter((part, at) => part !== "**" || parts[at - 1] !== "**");
  while (collapsed.at(-1) === "**") collapsed.pop();
  return ["", ...collapsed].join("/").replace(/^/, ".");
}

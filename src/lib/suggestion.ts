import { distance } from "fastest-levenshtein";

/** The allowed word nearest to what was written, when one is near: `did you mean 'x'?`, as a list of none or one. */
export function suggestion(written: string, allowed: readonly string[]): readonly string[] {
  if (written.length > 64) return [];
  const word = written.toLowerCase();
  const [nearest] = allowed
    .map((candidate) => ({ candidate, edits: distance(word, candidate.toLowerCase()) }))
    .filter(({ candidate, edits }) => edits <= Math.max(1, Math.floor(candidate.length / 3)))
    .sort((a, b) => a.edits - b.edits);
  return nearest === undefined ? [] : [`did you mean '${nearest.candidate}'?`];
}

import { UsageError } from "#cli/exit-code.ts";
import type { Input } from "#job/spec.ts";
import { printable } from "#lib/printable.ts";
import { type StrayLink, strayLinks } from "#lib/stray-links.ts";

const LINKS_NAMED_MAX = 5;

/**
 * What is worth a word about a job's inputs before it starts: symbolic links in input folders that lead out of them or
 * nowhere. They are sent as they are, since they may be right in the guest (`/usr/bin/python3`, another input, a file that
 * a step makes); if they are not, the guest would only say that there is no such file. Throws
 * `UsageError` for a name that is not UTF-8, or the signal's reason.
 */
export async function inputNotes(
  inputs: readonly Input[],
  signal: AbortSignal,
): Promise<readonly string[]> {
  const notes = [];
  for (const { from } of inputs) {
    const named: StrayLink[] = [];
    let more = 0;
    for await (const link of strayLinks(from, signal)) {
      if (link.why === "is not UTF-8") {
        const message = `${printable(from)}: the name of ${printable(link.name)} is not UTF-8; rename it`;
        throw new UsageError(message);
      }
      if (named.length < LINKS_NAMED_MAX) named.push(link);
      else more += 1;
    }
    if (named.length === 0) continue;
    const list = named.map(({ name, target, why }) =>
      printable(`${name} -> ${target} (${why})`, 300),
    );
    const rest = more === 0 ? "" : `, and ${more} more`;
    notes.push(
      `input ${printable(from)}: symbolic links that may lead nowhere in the guest: ${list.join(", ")}${rest}`,
    );
  }
  return notes;
}

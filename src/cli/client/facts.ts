import { printable } from "#lib/printable.ts";

/** A name and what is known of it; undefined: nothing, and no line. */
export type Fact = readonly [name: string, text: string | undefined];

const LINE_CHARACTERS_MAX = 1000;

/** Facts one below the other, their texts aligned; ends with a newline. Texts may be anybody's and have several lines. */
export function factsOf(facts: readonly Fact[]): string {
  const known = facts.flatMap(([name, text]) => (text === undefined ? [] : [{ name, text }]));
  const width = Math.max(...known.map(({ name }) => name.length));
  return known
    .map(({ name, text }) => {
      const lines = text.trimEnd().split("\n");
      const shown = lines.map((line) => printable(line, LINE_CHARACTERS_MAX));
      return `${name.padEnd(width)}  ${shown.join(`\n${" ".repeat(width + 2)}`)}\n`;
    })
    .join("");
}

/**
 * Text of others made fit to stand in one line of ours, on a terminal or in a log: control characters, invisible
 * formatting characters (bidirectional overrides among them), line separators and lone surrogates become `\u{…}`, and
 * what is longer than `charactersMax` is cut with an ellipsis.
 */
export function printable(text: string, charactersMax = 256): string {
  const shown = text
    .slice(0, charactersMax + 1)
    .replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, (character) => escapeOf(character));
  return text.length <= charactersMax && shown.length <= 2 * charactersMax
    ? shown
    : `${shown.slice(0, charactersMax)}…`;
}

function escapeOf(character: string): string {
  return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
}

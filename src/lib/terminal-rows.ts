/**
 * Cuts text (newlines and tabs its only controls) into rows that each take one row of a terminal, so that a long line
 * cannot run on into the place where our own lines stand. The row that is not ended yet is kept, at most one row of it.
 */
export class TerminalRows {
  #row = "";
  #width = 0;

  /** The row that has no newline yet; empty when there is none. */
  get open(): string {
    return this.#row;
  }

  /** Takes text and returns the rows that it completes, none of them wider than `columns`. */
  push(text: string, columns: number): string[] {
    const rows: string[] = [];
    const end = () => {
      rows.push(this.#row);
      this.#row = "";
      this.#width = 0;
    };
    for (const character of text) {
      if (character === "\n") {
        end();
        continue;
      }
      const cell = character === "\t" ? " ".repeat(8 - (this.#width % 8)) : character;
      const width = character === "\t" ? cell.length : cellsOf(character);
      if (this.#width > 0 && this.#width + width > columns) end();
      this.#row += character === "\t" && this.#width === 0 ? cell.slice(0, columns) : cell;
      this.#width += Math.min(width, columns);
    }
    return rows;
  }

  /** Ends the open row. */
  end(): string[] {
    const rows = this.#row === "" ? [] : [this.#row];
    this.#row = "";
    this.#width = 0;
    return rows;
  }
}

/** The beginning of one line of text that fits into `columns`, with an ellipsis when something is cut off. */
export function fitted(text: string, columns: number): string {
  let width = 0;
  let end = 0;
  let endWithEllipsis = 0;
  for (const character of text) {
    width += cellsOf(character);
    if (width > columns) return `${text.slice(0, endWithEllipsis)}…`;
    end += character.length;
    if (width < columns) endWithEllipsis = end;
  }
  return text;
}

/** Columns that one line of text takes. */
export function widthOf(text: string): number {
  let width = 0;
  for (const character of text) width += cellsOf(character);
  return width;
}

/** Blocks whose characters are two columns wide in most terminals (Unicode UAX #11, wide and fullwidth, and emoji). */
const WIDE: readonly (readonly [number, number])[] = [
  [0x1100, 0x115f],
  [0x231a, 0x23ff],
  [0x25fd, 0x27bf],
  [0x2b1b, 0x2b55],
  [0x2e80, 0xa4cf],
  [0xa960, 0xa97f],
  [0xac00, 0xd7a3],
  [0xf900, 0xfaff],
  [0xfe10, 0xfe6f],
  [0xff00, 0xff60],
  [0xffe0, 0xffe6],
  [0x16fe0, 0x18dff],
  [0x1b000, 0x1b2ff],
  [0x1f000, 0x3fffd],
];

/** Columns that a character takes. Too many rather than too few: a row then ends early, but never runs over. */
function cellsOf(character: string): number {
  const code = character.codePointAt(0) ?? 0;
  if (code < 0x1100) return 1;
  return WIDE.some(([first, last]) => code >= first && code <= last) ? 2 : 1;
}

import { printable } from "#lib/printable.ts";
import { fitted, widthOf } from "#lib/terminal-rows.ts";

/** One column of a table. */
export type Column<Row> = {
  readonly head: string;
  readonly cell: (row: Row) => string;
  /** Numbers stand right. */
  readonly isRight?: true;
  /** On a terminal that is too narrow it is cut, down to so many columns; without it, never. */
  readonly least?: number;
};

const GAP = "  ";
const CELL_CHARACTERS_MAX = 1000;

/**
 * Rows under heads, aligned, ending with a newline. With `widthMax` the widest of the columns that may be cut are cut until
 * all fits, as far as that goes. Cells may be anybody's text.
 */
export function tableOf<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  widthMax?: number,
): string {
  const cells = rows.map((row) =>
    columns.map(({ cell }) => printable(cell(row), CELL_CHARACTERS_MAX)),
  );
  const lines = [columns.map(({ head }) => head), ...cells];
  const widths = cut(
    columns,
    columns.map((_, at) => Math.max(...lines.map((line) => widthOf(line[at] ?? "")))),
    widthMax,
  );
  return lines.map((line) => `${lineOf(columns, line, widths)}\n`).join("");
}

/** The terminal's width, when standard output is one: what goes into a file or a pipe is never cut. */
export function terminalWidth(): number | undefined {
  return process.stdout.isTTY ? process.stdout.columns : undefined;
}

function cut<Row>(
  columns: readonly Column<Row>[],
  wanted: readonly number[],
  widthMax = Number.POSITIVE_INFINITY,
): readonly number[] {
  const widths = [...wanted];
  const gaps = GAP.length * (columns.length - 1);
  for (;;) {
    const width = widths.reduce((sum, one) => sum + one, gaps);
    if (width <= widthMax) return widths;
    const spare = widths.map((one, at) => ({ at, one, least: columns[at]?.least ?? one }));
    const widest = spare.filter(({ one, least }) => one > least).sort((a, b) => b.one - a.one)[0];
    if (widest === undefined) return widths;
    widths[widest.at] = widest.one - 1;
  }
}

function lineOf<Row>(
  columns: readonly Column<Row>[],
  line: readonly string[],
  widths: readonly number[],
): string {
  return line
    .map((cell, at) => {
      const width = widths[at] ?? 0;
      const text = fitted(cell, width);
      const fill = " ".repeat(Math.max(width - widthOf(text), 0));
      return columns[at]?.isRight ? `${fill}${text}` : `${text}${fill}`;
    })
    .join(GAP)
    .trimEnd();
}

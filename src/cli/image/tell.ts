import type { Config } from "#config/config.ts";
import { progressRow, progressWords } from "./progress-bar.ts";

const LINE_EVERY_MS = 2_000;
const ROW_EVERY_MS = 100;
const ERASE_ROW = "\r\u001b[K";
const COLUMNS_UNKNOWN = 80;

/** Whether the terminal's last row is a progress bar, which goes before anything else is said. */
let isRowDrawn = false;

/** A line for people, while standard output waits for the answer. */
export function tell(line: string): void {
  eraseRow();
  process.stderr.write(`${line}\n`);
}

/** Tells how far something got; disposing takes its bar away. */
export type ByteTeller = Disposable & {
  readonly onBytes: (done: number, all: number) => void;
};

/**
 * Tells how far something got. On a terminal as a bar in one row, which goes when all is done; elsewhere as a line every two seconds,
 * and what is over sooner is not worth one.
 */
export function tellingBytes(
  what: string,
  { canMoveCursor }: Pick<Config, "canMoveCursor">,
): ByteTeller {
  return process.stderr.isTTY && canMoveCursor ? asRow(what) : asLines(what);
}

function asLines(what: string): ByteTeller {
  let saidMs = performance.now();
  return {
    onBytes: (done, all) => {
      if (performance.now() - saidMs < LINE_EVERY_MS) return;
      saidMs = performance.now();
      tell(progressWords(what, done, all));
    },
    [Symbol.dispose]: () => undefined,
  };
}

function asRow(what: string): ByteTeller {
  let drawnMs = Number.NEGATIVE_INFINITY;
  return {
    onBytes: (done, all) => {
      if (done >= all) return eraseRow();
      if (performance.now() - drawnMs < ROW_EVERY_MS) return;
      drawnMs = performance.now();
      const columns = process.stderr.columns || COLUMNS_UNKNOWN;
      process.stderr.write(`${ERASE_ROW}${progressRow(what, done, all, columns)}`);
      isRowDrawn = true;
    },
    [Symbol.dispose]: eraseRow,
  };
}

function eraseRow(): void {
  if (isRowDrawn) process.stderr.write(ERASE_ROW);
  isRowDrawn = false;
}

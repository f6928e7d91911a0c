import { fitted } from "#lib/terminal-rows.ts";
import { bytesInWords } from "#lib/words.ts";

const BAR_COLUMNS = 30;
/** A terminal that is narrower has words only. */
const COLUMNS_FOR_BAR = 80;

/** How far something got: `fetching: 1.2 GiB of 3.0 GiB (40 %)`. */
export function progressWords(what: string, done: number, all: number): string {
  return `${what}: ${bytesInWords(done)} of ${bytesInWords(all)} (${percentOf(done, all)} %)`;
}

/** The same as one row of a terminal of so many columns, with a bar where there is room for it. */
export function progressRow(what: string, done: number, all: number, columns: number): string {
  // The last column stays free: some terminals begin a new row when it is filled.
  const room = columns - 1;
  if (columns < COLUMNS_FOR_BAR) return fitted(progressWords(what, done, all), room);
  const percent = percentOf(done, all);
  const full = Math.floor((percent / 100) * BAR_COLUMNS);
  const bar = `[${"#".repeat(full)}${".".repeat(BAR_COLUMNS - full)}]`;
  const sizes = `${String(percent).padStart(3)} %  ${bytesInWords(done)} of ${bytesInWords(all)}`;
  const label = fitted(what, room - bar.length - sizes.length - 4);
  return `${label}  ${bar}  ${sizes}`;
}

function percentOf(done: number, all: number): number {
  if (all === 0) return 100;
  return Math.min(Math.floor((done / all) * 100), 100);
}

import { crc32 } from "node:zlib";
import type { Entry } from "#host/runner/journal.ts";

/**
 * The text of an attempt's journal: a line for each entry, `CRC JSON`, where CRC is the CRC-32 of the JSON in 8 hexadecimal digits. The
 * first line says which format this is and in which boot of the host the times were taken.
 */
export const JOURNAL_FORMAT = 1;

/** The first line. */
export type JournalHead = { readonly format: number; readonly boot: string };

/** A journal that says something else than was written into it. */
export class JournalDamaged extends Error {
  override readonly name = "JournalDamaged";
}

/** One line, with its end. */
export function lineOf(entry: Entry | JournalHead): string {
  const json = JSON.stringify(entry);
  return `${crc32(json).toString(16).padStart(8, "0")} ${json}\n`;
}

/**
 * Reads a journal. A last line without its end was being written when the process died: nothing was done for it, and it is not read;
 * `goodBytes` end before it. Anything else that is not as it was written throws `JournalDamaged`, with the line's number.
 */
export function readJournalText(text: Buffer): {
  readonly head: JournalHead | undefined;
  readonly entries: readonly Entry[];
  readonly goodBytes: number;
} {
  const goodBytes = text.lastIndexOf("\n") + 1;
  const lines = text.subarray(0, goodBytes).toString("utf8").split("\n").slice(0, -1);
  const [head, ...entries] = lines.map((line, index) => readLine(line, index + 1));
  if (head === undefined) return { head: undefined, entries: [], goodBytes };
  if (!isHead(head)) throw new JournalDamaged("line 1 of it does not say which format this is");
  return { head, entries: entries as Entry[], goodBytes };
}

function readLine(line: string, number: number): unknown {
  const json = line.slice(9);
  const isWhole = line.slice(0, 9) === `${crc32(json).toString(16).padStart(8, "0")} `;
  if (!isWhole) throw new JournalDamaged(`line ${number} of it is not as it was written`);
  return JSON.parse(json);
}

function isHead(value: unknown): value is JournalHead {
  const { format, boot } = value as Partial<JournalHead>;
  return Number.isSafeInteger(format) && typeof boot === "string";
}

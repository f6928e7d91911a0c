import type { Machine } from "#host/runner/ports.ts";
import { printable } from "#lib/printable.ts";

const TAIL_BYTES = 4096;
const LINE_CHARACTERS_MAX = 1000;

/** The last lines of a machine's console, fit to print and at most 4 KiB of them. Never throws. */
export async function consoleTail(machine: Machine): Promise<string> {
  const tail = await machine.console.tail(TAIL_BYTES).catch(() => Buffer.alloc(0));
  return tail
    .toString("utf8")
    .split(/\r*\n/)
    .map((line) => printable(line, LINE_CHARACTERS_MAX))
    .join("\n")
    .slice(-TAIL_BYTES);
}

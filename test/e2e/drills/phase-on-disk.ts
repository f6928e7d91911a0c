import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Phase } from "#job/phase.ts";

/**
 * The last phase that a daemon noted in an attempt's folder, read as anybody may read it: each line of the journal is a checksum,
 * a space, and JSON. Undefined while there is no whole line that names one.
 */
export async function phaseOnDisk(folder: string): Promise<Phase | undefined> {
  const text = await readFile(join(folder, "journal"), "utf8").catch(() => "");
  const whole = text.split("\n").slice(0, -1);
  for (const line of whole.reverse()) {
    const entry = JSON.parse(line.slice(line.indexOf(" ") + 1)) as { entry: string; phase?: Phase };
    if (entry.entry === "phase") return entry.phase;
  }
  return undefined;
}

import { join } from "node:path";
import { inspectDisk } from "#host/images/inspect/inspect-disk.ts";

/**
 * Inspects files of a folder, one after the other, and prints the answers as JSON: a process whose system calls a test can
 * follow. Arguments: the folder, then `format:name` for each file.
 */
const [folder, ...names] = process.argv.slice(2) as [string, ...string[]];
const answers: Record<string, unknown> = {};
for (const word of names) {
  const [format, name] = word.split(":") as ["qcow2" | "raw", string];
  const claim = { path: join(folder, name), format, virtualBytesMax: 2 ** 40 };
  answers[word] = await inspectDisk(claim, AbortSignal.timeout(60_000));
}
process.stdout.write(JSON.stringify(answers));

import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { eventually } from "./eventually.ts";

/**
 * Ends the process of a pid file, if it still is the one whose command line names `mark`: the number of a dead one may be a stranger's.
 */
export async function endStale(pidFile: string, mark: string): Promise<void> {
  const pid = Number(await readFile(pidFile, "utf8").catch(() => ""));
  if (!(pid > 1)) return;
  const command = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
  if (!command.includes(mark)) return;
  // One that is stopped hears nothing else.
  process.kill(pid, "SIGKILL");
  await eventually(() => !existsSync(`/proc/${pid}/exe`), 10_000);
}

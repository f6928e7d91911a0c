import { readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { STATE_NAMES } from "#host/runner/state-folder.ts";

/** Set aside means that nobody asked for it: it is kept for somebody to look at, and not for ever. */
const KEPT_MS = 7 * 86_400_000;

/**
 * Removes evidence of attempts that were set aside more than a week ago (`wallMs` is now), and returns their names. To be called
 * now and then; twice is safe.
 */
export async function pruneAttempts(state: string, wallMs: number): Promise<readonly string[]> {
  const folder = join(state, STATE_NAMES.attempts);
  const pruned: string[] = [];
  for (const name of await readdir(folder)) {
    const aside = await stat(join(folder, name, "set-aside.txt")).catch(() => undefined);
    if (aside === undefined || wallMs - aside.mtimeMs < KEPT_MS) continue;
    await rm(join(folder, name), { recursive: true, force: true });
    pruned.push(name);
  }
  return pruned;
}

import { readFile, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { DrainFlag } from "#host/daemon/ports.ts";
import { STATE_NAMES } from "#host/runner/state-folder.ts";
import { syncFolder, writeAtomically } from "#lib/atomic-file.ts";

type Drained = NonNullable<DrainFlag["drained"]>;

/** The flag of the host whose state folder this is. A file that cannot be read drains: somebody wanted something by it. */
export async function openDrainFlag(state: string): Promise<DrainFlag> {
  const path = join(state, STATE_NAMES.drain);
  let drained = await read(path);
  return {
    get drained() {
      return drained;
    },
    async set(why) {
      const next = { why, since: new Date().toISOString() };
      await writeAtomically(path, `${JSON.stringify(next)}\n`);
      drained = next;
    },
    async clear() {
      await rm(path, { force: true });
      await syncFolder(dirname(path));
      drained = undefined;
    },
  };
}

async function read(path: string): Promise<Drained | undefined> {
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  try {
    const { why, since } = JSON.parse(text) as Record<string, unknown>;
    if (typeof why === "string" && typeof since === "string") return { why, since };
  } catch {
    // Said below.
  }
  return { why: `${path} cannot be read`, since: new Date(0).toISOString() };
}

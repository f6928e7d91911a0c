import { existsSync } from "node:fs";
import { lstat, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { FileLock } from "#lib/file-lock.ts";
import { sweepHolds, takeStoreLock } from "./holds.ts";
import { imageFolder, sweepBuilds } from "./layout.ts";
import { tidyNames } from "./tidy-names.ts";

const HOUR_MS = 3600_000;

/** All that a download leaves but its lock, which stays: who removed it would let two in. See download.ts. */
const FETCHED = /^([0-9a-f]{64})(|\.part|\.part\.json|\.part\.json\.[0-9a-f]+\.tmp)$/;

/** For how long what is of no use by itself stays. */
const STAYS_MS = {
  /** A download that nobody went on with; until then it is resumed, however often its process dies. */
  download: 7 * 24 * HOUR_MS,
  /** For who wants to know what happened to an image. */
  damaged: 7 * 24 * HOUR_MS,
  /** A smoke boot that failed is remembered for a while, so that what was pruned is not fetched right again. */
  facts: 30 * 24 * HOUR_MS,
  /** What a killed `writeAtomically` leaves. */
  temporary: HOUR_MS,
};

/**
 * Puts a store in order after whatever happened to it: kill -9 or a power cut in a fetch, a build, a smoke boot or a prune,
 * and hands that removed what they should not have. Returns what it did, in words, one for each thing. Touches no image, and
 * nothing that a living process is at. What cannot be mended is told as well, and stops nothing else. Twice is safe.
 */
export async function recoverStore(store: string, signal: AbortSignal): Promise<readonly string[]> {
  const said: string[] = [];
  for (const mend of [finishRemovals, dropBuilds, dropOld, dropHolds, tidyNames]) {
    signal.throwIfAborted();
    said.push(
      ...(await mend(store, signal).catch((error: unknown) => {
        signal.throwIfAborted();
        return [`could not be put in order: ${(error as Error).message}`];
      })),
    );
  }
  return said;
}

async function finishRemovals(store: string): Promise<readonly string[]> {
  const folder = join(store, "removing");
  const names = await list(folder);
  for (const name of names) await rm(join(folder, name), { recursive: true, force: true });
  return names.map((name) => `removing/${name}: an image on its way out, gone now`);
}

async function dropBuilds(store: string): Promise<readonly string[]> {
  const names = await sweepBuilds(store);
  return names.map((name) => `building/${name}: a build that was killed, removed`);
}

async function dropHolds(store: string, signal: AbortSignal): Promise<readonly string[]> {
  if (!existsSync(join(store, "holds"))) return [];
  using _ = await takeStoreLock(store, signal);
  const count = await sweepHolds(store);
  return count === 0 ? [] : [`holds: ${count} of processes that died, removed`];
}

/** Leftovers by age. A wall clock that was set forward costs a download its beginning, and nothing else. */
async function dropOld(store: string): Promise<readonly string[]> {
  const said: string[] = [];
  const drop = async (path: string, stays: keyof typeof STAYS_MS) => {
    const found = await lstat(join(store, path)).catch(() => undefined);
    if (found === undefined || Date.now() - found.ctimeMs < STAYS_MS[stays]) return;
    await rm(join(store, path), { recursive: true, force: true });
    said.push(`${path}: old, removed`);
  };
  for (const name of await list(join(store, "fetching"))) {
    const [, digest, more] = FETCHED.exec(name) ?? [];
    if (digest === undefined) continue;
    using lock = FileLock.tryTake(join(store, "fetching", `${digest}.lock`));
    if (lock !== undefined)
      await drop(`fetching/${name}`, more?.endsWith(".tmp") ? "temporary" : "download");
  }
  for (const name of await list(join(store, "damaged"))) await drop(`damaged/${name}`, "damaged");
  for (const digest of await list(join(store, "facts"))) {
    const folder = `facts/${digest}`;
    if (!existsSync(imageFolder(store, digest))) await drop(folder, "facts");
    for (const name of await list(join(store, folder)))
      if (name.endsWith(".tmp")) await drop(`${folder}/${name}`, "temporary");
  }
  for (const name of await list(join(store, "names")))
    if (name.endsWith(".tmp")) await drop(`names/${name}`, "temporary");
  return said;
}

async function list(folder: string): Promise<readonly string[]> {
  return await readdir(folder).catch(() => []);
}

import { randomBytes } from "node:crypto";
import { chmod, open, readdir, rename, rm, utimes } from "node:fs/promises";
import { join } from "node:path";
import { FileLock } from "#lib/file-lock.ts";
import { DIGEST_PATTERN, NAME_PATTERN, openImage } from "./manifest.ts";
import { giveToOwner, makeShared } from "./shared.ts";

/**
 * The store on disk, below one folder:
 *
 *     <digest>/                manifest.json and the image's files, read-only, never changed
 *     names/<name>.json        which digest a name means now, and what it was built from
 *     names/<name>.lock        held while somebody builds, imports or changes this name
 *     building/<name>.<hex>/   a build or an import under way; the same file system, so that it ends in one rename
 *     facts/<digest>/          what this host knows of an image: who brought it, how its smoke boot ended, when it was used
 *     holds/<digest>.….lock    locked by who uses the image
 *     removing/<digest>.<hex>/ a pruned image on its way out
 *     damaged/<digest>.<hex>/  an image that was not what its manifest says, set aside
 *     fetching/<sha256>.part   a download that began
 *     holds/prune.lock         held for moments, see holds.ts
 */

/** The folder of an image. */
export function imageFolder(store: string, digestHex: string): string {
  return join(store, digestHex);
}

/**
 * Takes the lock of a name's builds, making the store's folders when they are missing. Tells once when it has to wait for
 * somebody else. Aborts with the signal's reason.
 */
export async function lockName(
  store: string,
  name: string,
  { onWait, signal }: { onWait: () => void; signal: AbortSignal },
): Promise<FileLock> {
  // Made by root before a daemon that is not root needs them.
  for (const folder of ["names", "building", "holds"]) await makeShared(store, folder);
  const path = lockPath(store, name);
  const lock = FileLock.tryTake(path);
  if (lock !== undefined) return lock;
  onWait();
  return FileLock.take(path, signal);
}

/** A fresh folder for a build of this name, on the store's file system. */
export async function makeBuildFolder(store: string, name: string): Promise<string> {
  return await makeShared(store, "building", `${name}.${randomBytes(4).toString("hex")}`);
}

/**
 * Removes what killed builds left behind: folders whose name nobody holds the lock of; returns their names. `held` is the
 * name that the caller itself holds, whose leftovers go too.
 */
export async function sweepBuilds(store: string, held?: string): Promise<readonly string[]> {
  const removed: string[] = [];
  for (const folder of await readdir(join(store, "building")).catch(() => [])) {
    const name = folder.replace(/\.[0-9a-f]+$/, "");
    if (!new RegExp(NAME_PATTERN).test(name)) continue;
    using lock = name === held ? undefined : FileLock.tryTake(lockPath(store, name));
    if (name !== held && lock === undefined) continue;
    await rm(join(store, "building", folder), { recursive: true, force: true, maxRetries: 10 });
    removed.push(folder);
  }
  return removed;
}

/**
 * Moves a finished image to its digest: read-only, on disk before it gets its name, in one step. An image that is there
 * already is the same one, and stays, unless it is damaged.
 */
export async function publish(store: string, built: string, digestHex: string): Promise<void> {
  for (const name of await readdir(built)) {
    const path = join(built, name);
    await chmod(path, 0o444);
    await syncPath(path);
  }
  await chmod(built, 0o755);
  await giveToOwner(store, built);
  await syncPath(built);
  const target = imageFolder(store, digestHex);
  if ((await isWhole(target, digestHex)) && (await cameJustNow(target))) return;
  await makeWay(store, target, digestHex);
  await rename(built, target);
  await syncPath(store);
}

async function isWhole(folder: string, digestHex: string): Promise<boolean> {
  return await openImage(folder, digestHex).then(
    () => true,
    () => false,
  );
}

/** So that a prune leaves it alone until its name is written; false when one took it meanwhile. */
async function cameJustNow(target: string): Promise<boolean> {
  const now = new Date();
  return await utimes(target, now, now).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return false;
      throw error;
    },
  );
}

/** A damaged image is set aside for the whole one, which is in its place at once; a machine that has it open keeps what it has. */
async function makeWay(store: string, target: string, digestHex: string): Promise<void> {
  const folder = await makeShared(store, "damaged");
  const aside = join(folder, `${digestHex}.${randomBytes(4).toString("hex")}`);
  await rename(target, aside).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
  });
}

/** Digests of the images in the store, sorted, whatever state they are in. */
export async function storedDigests(store: string): Promise<string[]> {
  const names = await readdir(store).catch(() => []);
  return names.filter((name) => new RegExp(DIGEST_PATTERN).test(name)).sort();
}

/** The lock of a name when nobody has it. */
export function tryLockName(store: string, name: string): FileLock | undefined {
  return FileLock.tryTake(lockPath(store, name));
}

function lockPath(store: string, name: string): string {
  return join(store, "names", `${name}.lock`);
}

async function syncPath(path: string): Promise<void> {
  const handle = await open(path, "r");
  await handle.sync().finally(() => handle.close());
}

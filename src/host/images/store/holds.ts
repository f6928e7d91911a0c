import { randomBytes } from "node:crypto";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { FileLock } from "#lib/file-lock.ts";
import { imageFolder } from "./layout.ts";
import { DIGEST_PATTERN, openImage } from "./manifest.ts";
import { makeShared } from "./shared.ts";

/**
 * Who uses an image says so by a locked file `holds/<digest>.<purpose>.<hex>.lock`, which dies with its process.
 *
 * Why no image goes that somebody holds: who takes a hold and who removes an image both do it under the store's lock,
 * `holds/prune.lock`. A hold locks its file and finds the folder there, all under the lock; a removal looks for holds and renames
 * the folder away, all under the lock. So a hold comes wholly before a removal, which sees it and leaves the image alone,
 * or wholly after, and then finds no folder and says so. Nothing long is done under the lock: an image's bytes are removed
 * after it was renamed. Files of dead holds are removed under the lock, too: outside, one that was made but not yet locked
 * would look dead.
 */

/** What an image is held for. */
export type Purpose = "attempt" | "smoke" | "build" | "copy";

const HOLD = new RegExp(`^(${DIGEST_PATTERN.slice(1, -1)})\\.([a-z]+)\\.[0-9a-f]+\\.lock$`);

/** An image that stays until this is disposed, or its process dies. Disposing twice is safe. */
export type Hold = Disposable & AsyncDisposable;

/** For moments only. Aborts with the signal's reason. */
export async function takeStoreLock(store: string, signal: AbortSignal): Promise<FileLock> {
  const path = join(await makeShared(store, "holds"), "prune.lock");
  return await FileLock.take(path, signal);
}

/**
 * Holds a stored image; undefined when it is not there whole: whoever wanted it resolves again. Any number of holds of one image
 * are fine. In a store that is root's alone, as testbed 0.2.0 left them, nobody else can hold anything: there only the disk of
 * the machine keeps the image, until root does anything with images.
 */
export async function holdImage(
  store: string,
  digest: string,
  purpose: Purpose,
  signal: AbortSignal,
): Promise<Hold | undefined> {
  try {
    using _ = await takeStoreLock(store, signal);
    if (!(await isWhole(store, digest))) return undefined;
    const path = join(
      store,
      "holds",
      `${digest}.${purpose}.${randomBytes(8).toString("hex")}.lock`,
    );
    // Somebody who lists holds may be trying just this lock.
    const lock = await FileLock.take(path, signal);
    const release = async () => {
      lock[Symbol.dispose]();
      await rm(path, { force: true }).catch(() => undefined);
    };
    return { [Symbol.dispose]: () => void release(), [Symbol.asyncDispose]: release };
  } catch (error) {
    if (!isForbidden(error)) throw error;
    return (await isWhole(store, digest)) ? NO_HOLD : undefined;
  }
}

const NO_HOLD: Hold = {
  [Symbol.dispose]: () => undefined,
  [Symbol.asyncDispose]: async () => undefined,
};

async function isWhole(store: string, digest: string): Promise<boolean> {
  return await openImage(imageFolder(store, digest), digest).then(
    () => true,
    () => false,
  );
}

/** As the file system says it, or SQLite: SQLITE_READONLY is 8, SQLITE_CANTOPEN is 14, see https://www.sqlite.org/rescode.html. */
function isForbidden(error: unknown): boolean {
  const { code, errcode } = error as { code?: string; errcode?: number };
  if (errcode !== undefined) return errcode === 8 || errcode === 14;
  return code === "EACCES" || code === "EPERM" || code === "EROFS";
}

/** What each held image is held for. Under the store's lock it is true for as long as that is held; else it was true just now. */
export async function heldDigests(
  store: string,
): Promise<ReadonlyMap<string, ReadonlySet<Purpose>>> {
  const held = new Map<string, Set<Purpose>>();
  for (const { digest, purpose, path } of await holdFiles(store)) {
    using lock = tryLock(path);
    if (lock !== undefined) continue;
    held.set(digest, (held.get(digest) ?? new Set()).add(purpose));
  }
  return held;
}

/** Removes the files of dead holds; how many. The caller has the store's lock. */
export async function sweepHolds(store: string): Promise<number> {
  let removed = 0;
  for (const { path } of await holdFiles(store)) {
    using lock = tryLock(path);
    if (lock === undefined) continue;
    await rm(path, { force: true });
    removed += 1;
  }
  return removed;
}

/** The lock of a hold when nobody has it. One of another user that we may not try counts as had. */
function tryLock(path: string): FileLock | undefined {
  try {
    return FileLock.tryTake(path);
  } catch (error) {
    if (isForbidden(error)) return undefined;
    throw error;
  }
}

async function holdFiles(store: string) {
  const folder = join(store, "holds");
  const names = await readdir(folder).catch(() => []);
  return names.flatMap((name) => {
    const [, digest, purpose] = HOLD.exec(name) ?? [];
    if (digest === undefined || purpose === undefined) return [];
    return [{ digest, purpose: purpose as Purpose, path: join(folder, name) }];
  });
}

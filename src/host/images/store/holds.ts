import { randomBytes } from "node:crypto";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { FileLock } from "#lib/file-lock.ts";
import { makeFolders } from "#lib/make-folders.ts";
import { imageFolder } from "./layout.ts";
import { DIGEST_PATTERN, openImage } from "./manifest.ts";

/**
 * Who uses an image says so by a locked file `holds/<digest>.<purpose>.<hex>.lock`, which dies with its process.
 *
 * Why no image goes that somebody holds: who takes a hold and who removes an image both do it under the store's lock,
 * `prune.lock`. A hold locks its file and finds the folder there, all under the lock; a removal looks for holds and renames
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
  await makeFolders(store, 0o755);
  return await FileLock.take(join(store, "prune.lock"), signal);
}

/**
 * Holds a stored image; undefined when it is not there whole: whoever wanted it resolves again. Any number of holds of one image
 * are fine.
 */
export async function holdImage(
  store: string,
  digest: string,
  purpose: Purpose,
  signal: AbortSignal,
): Promise<Hold | undefined> {
  using _ = await takeStoreLock(store, signal);
  const isThere = await openImage(imageFolder(store, digest), digest).then(
    () => true,
    () => false,
  );
  if (!isThere) return undefined;
  const folder = join(store, "holds");
  await makeFolders(folder, 0o755);
  const path = join(folder, `${digest}.${purpose}.${randomBytes(8).toString("hex")}.lock`);
  // Somebody who lists holds may be trying just this lock.
  const lock = await FileLock.take(path, signal);
  const release = async () => {
    lock[Symbol.dispose]();
    await rm(path, { force: true }).catch(() => undefined);
  };
  return { [Symbol.dispose]: () => void release(), [Symbol.asyncDispose]: release };
}

/** What each held image is held for. Under the store's lock it is true for as long as that is held; else it was true just now. */
export async function heldDigests(
  store: string,
): Promise<ReadonlyMap<string, ReadonlySet<Purpose>>> {
  const held = new Map<string, Set<Purpose>>();
  for (const { digest, purpose, path } of await holdFiles(store)) {
    using lock = FileLock.tryTake(path);
    if (lock !== undefined) continue;
    held.set(digest, (held.get(digest) ?? new Set()).add(purpose));
  }
  return held;
}

/** Removes the files of dead holds; how many. The caller has the store's lock. */
export async function sweepHolds(store: string): Promise<number> {
  let removed = 0;
  for (const { path } of await holdFiles(store)) {
    using lock = FileLock.tryTake(path);
    if (lock === undefined) continue;
    await rm(path, { force: true });
    removed += 1;
  }
  return removed;
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

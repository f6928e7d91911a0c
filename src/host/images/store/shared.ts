import { lchown, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { makeFolders } from "#lib/make-folders.ts";

/**
 * Images are built by root and read by a daemon that need not be root: the store is root's then, in a state folder of the
 * daemon's user. What that one writes there all the same belongs to it: who holds an image, and when it was used.
 */

/** Makes a folder of the store that the state folder's owner may write. Twice is safe. */
export async function makeShared(store: string, ...names: readonly string[]): Promise<string> {
  const path = join(store, ...names);
  await makeFolders(path, 0o755);
  for (let at = names.length; at > 0; at -= 1)
    await giveToOwner(store, join(store, ...names.slice(0, at)));
  return path;
}

/** As root gives a file or folder of the store to the owner of the state folder; for anybody else nothing happens. */
export async function giveToOwner(store: string, path: string): Promise<void> {
  if (process.geteuid?.() !== 0) return;
  const { uid, gid } = await stat(dirname(store));
  if (uid !== 0) await lchown(path, uid, gid);
}

import { lchown, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { writeAtomically } from "#lib/atomic-file.ts";
import { makeFolders } from "#lib/make-folders.ts";

/**
 * A store is written by root, who builds, and by a daemon that need not be root, who fetches, switches and prunes. So what
 * root makes there belongs to the owner of the state folder, who could put another store in its place anyway. Only the
 * files of images stay root's: nobody ever writes them again.
 */

/** Makes the store, or a folder of it, that the state folder's owner may write. Twice is safe. */
export async function makeShared(store: string, ...names: readonly string[]): Promise<string> {
  const path = join(store, ...names);
  await makeFolders(path, 0o755);
  for (let at = names.length; at >= 0; at -= 1)
    await giveToOwner(store, join(store, ...names.slice(0, at)));
  return path;
}

/** `writeAtomically`, for a file of the store that the state folder's owner may read, whatever the umask says. */
export async function writeShared(
  store: string,
  path: string,
  content: string | Uint8Array,
): Promise<void> {
  await writeAtomically(path, content);
  await giveToOwner(store, path);
}

/** As root gives a file or folder of the store to the owner of the state folder; for anybody else nothing happens. */
export async function giveToOwner(store: string, path: string): Promise<void> {
  if (process.geteuid?.() !== 0) return;
  const { uid, gid } = await stat(dirname(store));
  if (uid !== 0) await lchown(path, uid, gid);
}

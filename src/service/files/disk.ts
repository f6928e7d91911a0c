import { type FileHandle, open, readdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { makeFolders } from "#lib/make-folders.ts";
import { FilesError } from "#service/file-ports.ts";

/** What a file system says when it, a quota or a limit of ours has no room. */
const FULL = ["ENOSPC", "EDQUOT", "EFBIG"];

/** A file system's error as ours. */
export function filesError(error: unknown): Error {
  if (error instanceof FilesError) return error;
  const { code = "", message } = error as NodeJS.ErrnoException;
  const says = FULL.includes(code) ? "full" : "failed";
  return new FilesError(says, message, { cause: error });
}

/** What `work` gives, or undefined when the file is not there; other errors are ours. */
export async function ifThere<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw filesError(error);
  }
}

/** The length of each file in a folder, by its name without `suffix`; of a folder that is not there none. */
export async function sizesIn(folder: string, suffix: string): Promise<Map<string, number>> {
  const sizes = new Map<string, number>();
  for (const name of (await ifThere(readdir(folder))) ?? []) {
    const bytes = (await ifThere(stat(join(folder, name))))?.size;
    const key = name.endsWith(suffix) ? name.slice(0, -suffix.length) : name;
    if (bytes !== undefined) sizes.set(key, bytes);
  }
  return sizes;
}

/** Makes a folder below `root` in such a way that it survives a power cut: the folders above know of it, on disk. */
export async function makeLastingFolder(root: string, folder: string): Promise<void> {
  await makeFolders(folder, 0o750);
  for (let at = folder; at.length >= root.length; at = dirname(at)) await sync(at);
}

/** Has a file, or the entries of a folder, survive a power cut. */
export async function sync(path: string): Promise<void> {
  const handle = await open(path, "r");
  await handle.sync().finally(() => handle.close());
}

/** Writes all of `bytes` from `offset` on, the end of the file; when that fails, the file is as long as before. */
export async function writeOrNothing(
  file: FileHandle,
  offset: number,
  bytes: Uint8Array,
): Promise<void> {
  try {
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await file.write(bytes, done, bytes.length - done, offset + done);
      done += bytesWritten;
    }
  } catch (error) {
    // A part was perhaps written, and whoever hears of the error takes it that nothing was.
    await file.truncate(offset).catch(() => undefined);
    throw error;
  }
}

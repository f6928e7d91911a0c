import { chmod, mkdir } from "node:fs/promises";
import { dirname } from "node:path";

/**
 * `mkdir -p`, step by step: Node's own `recursive` never returns where a file system says ENOENT to a folder that exists, as
 * proc does, and so must not be used on a path that a person names. A folder that is there is fine; new ones get `mode`,
 * whatever the umask says, or what the umask leaves when there is none.
 */
export async function makeFolders(path: string, mode?: number): Promise<void> {
  try {
    await makeOne(path, mode);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") return;
    if (code !== "ENOENT" || dirname(path) === path) throw error;
    await makeFolders(dirname(path), mode);
    await makeOne(path, mode).catch((again: NodeJS.ErrnoException) => {
      // Another process was faster.
      if (again.code !== "EEXIST") throw again;
    });
  }
}

async function makeOne(path: string, mode: number | undefined): Promise<void> {
  await mkdir(path);
  if (mode !== undefined) await chmod(path, mode);
}

import { lstat, readdir, readlink, stat } from "node:fs/promises";
import { isAbsolute, join, normalize } from "node:path";

/**
 * A symbolic link that will mean something else, or nothing, once its folder is copied to another machine; or anything whose
 * name is not UTF-8, which Node can read from a folder and not open.
 */
export type StrayLink = {
  /** Relative to the folder. */
  readonly name: string;
  readonly target: string;
  readonly why: "leads out" | "leads nowhere" | "is not UTF-8";
};

/**
 * The symbolic links below a folder that lead out of it (every absolute one does) or nowhere, as they are found. A part
 * that cannot be read is passed over: whoever copies it will say so. Throws the signal's reason.
 */
export async function* strayLinks(folder: string, signal: AbortSignal): AsyncGenerator<StrayLink> {
  const waiting = [""];
  for (let below = waiting.pop(); below !== undefined; below = waiting.pop()) {
    const entries = await readdir(join(folder, below), { withFileTypes: true }).catch(() => []);
    signal.throwIfAborted();
    for (const entry of entries) {
      const name = join(below, entry.name);
      if (entry.name.includes("\ufffd") && !(await isNamed(join(folder, name)))) {
        yield { name, target: "", why: "is not UTF-8" };
        continue;
      }
      if (entry.isDirectory()) waiting.push(name);
      if (!entry.isSymbolicLink()) continue;
      const target = await readlink(join(folder, name)).catch(() => undefined);
      if (target === undefined) continue;
      if (leadsOut(below, target)) yield { name, target, why: "leads out" };
      else if (!(await isThere(join(folder, name)))) yield { name, target, why: "leads nowhere" };
    }
  }
}

/** By its words, not by where it ends: what comes back into the folder by the folder's own name does not elsewhere. */
function leadsOut(below: string, target: string): boolean {
  const path = normalize(join(below, target));
  return isAbsolute(target) || path === ".." || path.startsWith("../");
}

async function isNamed(path: string): Promise<boolean> {
  return await lstat(path).then(
    () => true,
    () => false,
  );
}

async function isThere(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  );
}

import type { Stats } from "node:fs";
import { realpath, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { run, SpawnError } from "./spawn.ts";

const ASK_MS = 5_000;
const SEARCH_BIT = 0o1;

/**
 * The outermost folder above `path` (itself not counted) that the user `uid` with the groups `gids` cannot search, or
 * undefined when the way is open. Links are followed. The mode bits decide; where they say no and we are root, the
 * kernel is asked, since an ACL may say yes (acl(5)). Throws what stat(2) throws when a folder above does not exist.
 */
export async function unreachableParent(
  path: string,
  uid: number,
  gids: readonly number[],
): Promise<string | undefined> {
  for (const folder of parents(await realpath(dirname(path)))) {
    if (isSearchable(await stat(folder), uid, gids)) continue;
    if (!(await kernelSaysSearchable(folder, uid, gids))) return folder;
  }
  return undefined;
}

/** All groups of a user, the primary one first; empty when the user does not exist. */
export async function groupsOf(uid: number): Promise<readonly number[]> {
  try {
    const printed = await run("id", ["-G", String(uid)], { timeoutMs: ASK_MS });
    return printed.trim().split(" ").map(Number);
  } catch (error) {
    if (error instanceof SpawnError && error.exitCode !== undefined) return [];
    throw error;
  }
}

/** The id of a group; undefined when there is no such group. */
export async function groupId(name: string): Promise<number | undefined> {
  try {
    const line = await run("getent", ["group", name], { timeoutMs: ASK_MS });
    return Number(line.split(":")[2]);
  } catch (error) {
    if (error instanceof SpawnError && error.exitCode !== undefined) return undefined;
    throw error;
  }
}

/** From `/` down to `folder`. */
function parents(folder: string): string[] {
  const above = dirname(folder);
  return above === folder ? [folder] : [...parents(above), folder];
}

/** path_resolution(7): the owner's bits count for the owner alone, then the group's, then the others'. */
function isSearchable(folder: Stats, uid: number, gids: readonly number[]): boolean {
  if (uid === 0) return true;
  const shift = folder.uid === uid ? 6 : gids.includes(folder.gid) ? 3 : 0;
  return ((folder.mode >> shift) & SEARCH_BIT) !== 0;
}

async function kernelSaysSearchable(
  folder: string,
  uid: number,
  gids: readonly number[],
): Promise<boolean> {
  if (process.geteuid?.() !== 0) return false;
  const groups = gids.length === 0 ? ["--clear-groups"] : ["--groups", gids.join(",")];
  const who = ["--reuid", String(uid), "--regid", String(gids[0] ?? uid), ...groups];
  try {
    await run("setpriv", [...who, "test", "-x", folder], { timeoutMs: ASK_MS });
    return true;
  } catch (error) {
    if (error instanceof SpawnError) return false;
    throw error;
  }
}

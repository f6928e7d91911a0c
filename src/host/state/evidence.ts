import { lstat, open, opendir, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { join, relative } from "node:path";
import { RESULT_NAMES } from "#host/runner/results-folder.ts";
import { STATE_NAMES } from "#host/runner/state-folder.ts";
import type { Evidence, Leftover, Remains } from "#host/upkeep/ports.ts";
import { writeAtomically } from "#lib/atomic-file.ts";
import { FOLDER, GONE, NAMES } from "./attempt-folders.ts";

/** The evidence of this host's attempts, looked at anew at each call. Safe beside a daemon that works on the same folders. */
export function openEvidence(state: string): Evidence {
  const root = join(state, STATE_NAMES.attempts);
  const finished = async (name: string) => (await remainsOf(root, name))?.state === "finished";
  return {
    list: async () => {
      const names = (await orEmpty(readdir(root))).filter((name) => FOLDER.test(name));
      const found: Remains[] = [];
      for (const name of names) {
        const remains = await remainsOf(root, name);
        if (remains !== undefined) found.push(remains);
      }
      return found.sort((a, b) => a.sinceMs - b.sinceMs);
    },
    bytesOf: (name) => bytesBelow(join(root, name)),
    async remove(name) {
      if ((await remainsOf(root, name))?.state !== "aside") return 0;
      const bytes = await bytesBelow(join(root, name));
      const gone = join(root, `${GONE}${name}`);
      await rename(join(root, name), gone).catch(ifGone);
      await rm(gone, { recursive: true, force: true });
      return bytes;
    },
    async setAside(name, why) {
      if ((await remainsOf(root, name))?.state !== "unreadable") return;
      await writeAtomically(join(root, name, NAMES.setAside), `${why}\n`, 0o600);
    },
    logs: async (name) => ((await finished(name)) ? await logsIn(join(root, name)) : []),
    artifacts: async (name) => {
      if (!(await finished(name))) return [];
      const folder = join(root, name, NAMES.results, RESULT_NAMES.artifacts);
      return await filesBelow(folder, (path) => relative(folder, path));
    },
    async dropInputs(name) {
      if (!(await finished(name))) return 0;
      const folder = join(root, name, NAMES.inputs);
      const bytes = await bytesBelow(folder);
      for (const input of await orEmpty(readdir(folder)))
        await rm(join(folder, input), { recursive: true, force: true });
      return bytes;
    },
    cutLog,
    async dropArtifact({ path }) {
      const bytes = (await lstat(path).catch(ifGone))?.size ?? 0;
      await rm(path, { force: true });
      return bytes;
    },
  };
}

/** Undefined when the folder is gone. */
async function remainsOf(root: string, name: string): Promise<Remains | undefined> {
  const changedMs = async (file: string) =>
    (await stat(join(root, name, file)).catch(() => undefined))?.mtimeMs;
  const asideMs = await changedMs(NAMES.setAside);
  if (asideMs !== undefined) return { name, state: "aside", sinceMs: asideMs };
  const begunMs = await changedMs(NAMES.grant);
  const finishedMs = await changedMs(NAMES.verdict);
  if (begunMs !== undefined && (await isJson(join(root, name, NAMES.grant)))) {
    if (finishedMs !== undefined) return { name, state: "finished", sinceMs: finishedMs };
    return { name, state: "open", sinceMs: begunMs };
  }
  const folderMs = await changedMs(".");
  return folderMs === undefined ? undefined : { name, state: "unreadable", sinceMs: folderMs };
}

async function isJson(path: string): Promise<boolean> {
  try {
    return typeof JSON.parse(await readFile(path, "utf8")) === "object";
  } catch {
    return false;
  }
}

async function logsIn(folder: string): Promise<readonly Leftover[]> {
  const results = join(folder, NAMES.results);
  const paths = [
    join(folder, NAMES.output),
    join(results, RESULT_NAMES.console),
    ...(await orEmpty(readdir(join(results, RESULT_NAMES.steps)))).map((name) =>
      join(results, RESULT_NAMES.steps, name),
    ),
  ];
  const found: Leftover[] = [];
  for (const path of paths) {
    const stats = await lstat(path).catch(() => undefined);
    if (stats?.isFile()) found.push({ path, name: relative(folder, path), bytes: stats.size });
  }
  return found;
}

/**
 * The end goes and not the beginning: logs travel by offset, so what the service has already is the beginning, and goes on to be
 * right. What is left is too short to be cut again.
 */
async function cutLog({ path }: Leftover, keepBytes: number): Promise<number> {
  const file = await open(path, "r+").catch(ifGone);
  if (file === undefined) return 0;
  await using _ = file;
  const { size } = await file.stat();
  if (size <= keepBytes) return 0;
  await file.truncate(keepBytes);
  const line = `\n[testbed: log cut here after ${keepBytes} bytes: its host ran out of disk before the service took the rest, ${size - keepBytes} bytes]\n`;
  // A disk that does not even take this: the report says it as well.
  await file.write(line, keepBytes).catch(() => undefined);
  return Math.max(0, size - keepBytes - line.length);
}

async function bytesBelow(folder: string): Promise<number> {
  let bytes = 0;
  await walk(folder, (_, size) => {
    bytes += size;
  });
  return bytes;
}

async function filesBelow(folder: string, nameOf: (path: string) => string): Promise<Leftover[]> {
  const files: Leftover[] = [];
  await walk(folder, (path, bytes) => files.push({ path, name: nameOf(path), bytes }));
  return files;
}

/** Every regular file; links are not followed, and what vanishes meanwhile is passed over. */
async function walk(folder: string, found: (path: string, bytes: number) => void): Promise<void> {
  const entries = await opendir(folder).catch(() => undefined);
  if (entries === undefined) return;
  for await (const entry of entries) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await walk(path, found);
    else if (entry.isFile()) {
      const stats = await lstat(path).catch(() => undefined);
      if (stats !== undefined) found(path, stats.size);
    }
  }
}

async function orEmpty(names: Promise<string[]>): Promise<readonly string[]> {
  return (await names.catch(ifGone)) ?? [];
}

function ifGone(error: NodeJS.ErrnoException): undefined {
  if (error.code !== "ENOENT") throw error;
  return undefined;
}

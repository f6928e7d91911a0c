import { existsSync } from "node:fs";
import { readdir, rename } from "node:fs/promises";
import { join, resolve } from "node:path";
import { Command } from "commander";
import { BrokenError, UsageError } from "#cli/exit-code.ts";
import { readConfig } from "#config/config.ts";
import { FileLock } from "#lib/file-lock.ts";
import { makeFolders } from "#lib/make-folders.ts";
import { run } from "#lib/spawn.ts";
import { bytesInWords, durationInWords } from "#lib/words.ts";
import { BackupFiles } from "#service/files/backup-files.ts";
import { StoreError } from "#service/ports.ts";
import { Snapshot } from "#service/store/snapshot.ts";
import { readServiceSettings, type ServiceOptions } from "./service-settings.ts";
import { SERVICE_NAMES, serviceFolder } from "./service-state.ts";

const HELP_AFTER = `
Works on the service's own machine, as the service's user, whether the service runs or
not; it does not slow it down much. Everything that the database names is in DIR when the
command ends: DIR is a state folder, so 'testbed service --state DIR' is the restore.
Files that never change again are linked when DIR is on the same file system, and cost
no room until the service removes them; a backup against a broken disk belongs on
another one.

Examples:
  $ testbed service backup /mnt/backup/jobs-2030-01-02 --state /srv/jobs
  $ testbed service --state /mnt/backup/jobs-2030-01-02
`;

/** Somebody else who removes or copies is done by then. */
const LOCK_MS = 60_000;

const SAY_MS = 2000;

/** Flushing a whole file system may take its time. */
const SYNC_MS = 3_600_000;

/** Names told of what is missing. */
const MISSING_TOLD_MAX = 10;

/** `testbed service backup DIR`. */
export function backupCommand(): Command {
  return new Command("backup")
    .summary("copy a service's state while it runs")
    .description("Copies everything that a job service keeps, while it runs.")
    .argument("<dir>", "a folder that is empty, or not there yet")
    .addHelpText("after", HELP_AFTER)
    .action(async (dir: string, _: object, command: Command) => {
      await backUp(await folderOf(command.optsWithGlobals<ServiceOptions>()), resolve(dir));
    });
}

/** The folder that is named, or that the configuration file names. */
async function folderOf(options: ServiceOptions): Promise<string> {
  if (options.config !== undefined) return (await readServiceSettings(options)).folder;
  return resolve(serviceFolder(options.state, readConfig().stateFolder));
}

async function backUp(folder: string, dir: string): Promise<void> {
  const source = join(folder, SERVICE_NAMES.database);
  if (!existsSync(source)) throw new UsageError(`there is no ${source} (--state)`);
  await demandEmpty(dir);
  const beganMs = performance.now();
  const waiting = AbortSignal.timeout(LOCK_MS);
  const lockPath = join(folder, SERVICE_NAMES.upkeepLock);
  // Meanwhile the service removes nothing: what the copy of the database names must still be there when its turn comes.
  using _ = await FileLock.take(lockPath, waiting).catch((error: Error) => {
    throw new UsageError(`another backup is made, or ${lockPath} is not yours: ${error.message}`);
  });
  const database = join(dir, SERVICE_NAMES.database);
  const files = new BackupFiles(join(folder, SERVICE_NAMES.files), join(dir, SERVICE_NAMES.files));
  const { progress } = files;
  const timer = setInterval(() => say(`${words(progress)} so far`), SAY_MS);
  try {
    const missing = await copyAll(source, `${database}.part`, files);
    await flush(dir);
    if (missing.length > 0) throw damage(dir, missing);
    // Last, so that a copy that broke off is not taken for one.
    await rename(`${database}.part`, database);
    await flush(dir);
  } finally {
    clearInterval(timer);
  }
  const took = durationInWords(performance.now() - beganMs);
  say(`complete after ${took}: ${words(progress)} and the database in ${dir}`);
}

/** Copies database and files, and returns what the database names and is not there. */
async function copyAll(path: string, copy: string, files: BackupFiles): Promise<string[]> {
  using snapshot = takeSnapshot(path, copy);
  const missing: string[] = [];
  for (const attempt of snapshot.attempts()) {
    const there = await files.attempt(attempt);
    const of = `of job ${attempt.jobId}, attempt ${attempt.attempt}`;
    for (const { kind, name, bytes } of snapshot.filesOf(attempt)) {
      const length = there.get(kind === "log" ? `${name}.log` : name) ?? (bytes === 0 ? 0 : -1);
      const isWhole = kind === "log" ? length >= (bytes ?? 0) : length === (bytes ?? length);
      if (length < 0 || !isWhole) missing.push(`${kind} ${name} ${of}`);
    }
  }
  for (const { owner, sha256, bytes } of snapshot.inputs())
    if ((await files.input(owner, sha256)) !== bytes) missing.push(`input ${sha256} of ${owner}`);
  return missing;
}

function takeSnapshot(path: string, copy: string): Snapshot {
  try {
    return Snapshot.take(path, copy, Date.now());
  } catch (error) {
    if (error instanceof StoreError) throw new UsageError(`${error.message} (--state)`);
    throw error;
  }
}

async function demandEmpty(dir: string): Promise<void> {
  await makeFolders(dir, 0o750).catch((error: Error) => {
    throw new UsageError(error.message);
  });
  const names = await readdir(dir).catch((error: Error) => {
    throw new UsageError(error.message);
  });
  if (names.length > 0) throw new UsageError(`${dir} is not empty`);
}

/** Has everything on the file system of a folder survive a power cut: one call, where a flush for each file would be a million. */
async function flush(dir: string): Promise<void> {
  await run("sync", ["--file-system", dir], { timeoutMs: SYNC_MS });
}

function damage(dir: string, missing: readonly string[]): Error {
  const told = missing.slice(0, MISSING_TOLD_MAX).join("\n  ");
  return new BrokenError(
    `${missing.length} files that the database names are missing or too short, so this is no backup of everything:\n  ${told}\nAll the rest is in ${dir}, the database as ${SERVICE_NAMES.database}.part`,
  );
}

function words({ files, bytes }: BackupFiles["progress"]): string {
  return `${files} files, ${bytesInWords(bytes)}`;
}

function say(text: string): void {
  process.stderr.write(`testbed service backup: ${text}\n`);
}

import { access, constants, readdir, rm, rmdir, writeFile } from "node:fs/promises";
import { basename, extname, join, resolve } from "node:path";
import { UsageError } from "#cli/exit-code.ts";
import { RESULT_NAMES } from "#host/runner/results-folder.ts";
import { Fault } from "#job/fault.ts";
import { writeAtomically } from "#lib/atomic-file.ts";
import { makeFolders } from "#lib/make-folders.ts";
import { printable } from "#lib/printable.ts";
import type { VerdictDocument } from "./verdict-schema.ts";

const NAME_LENGTH_MAX = 64;

/** What a folder must have room for before a job is begun; a verdict with its evidence fits into it. */
const TRIAL_BYTES = 64 * 1024;

/** Where a job's results go when nobody says: `results/<job file>-<UTC time>-<id>`, below the current folder. */
export function defaultResultsFolder(jobFile: string, job: string, now: Date): string {
  const plain = basename(jobFile, extname(jobFile)).replaceAll(/[^A-Za-z0-9._-]+/g, "-");
  const time = now.toISOString().replaceAll(/[-:]|\.\d+/g, "");
  return resolve("results", `${plain.slice(0, NAME_LENGTH_MAX)}-${time}-${job.slice(0, 6)}`);
}

/**
 * Makes the results folder, or takes an empty one, before anything is started. Throws `UsageError` when it is not empty
 * or no folder, and the fault host-disk-full or host-path-closed when it cannot be written.
 */
export async function makeResultsFolder(path: string): Promise<void> {
  const shown = printable(path);
  try {
    await makeFolders(path);
    const [first] = await readdir(path);
    if (first !== undefined) {
      const name = printable(first, 60);
      throw new UsageError(`--results ${shown} is not empty (it holds ${name}); name another`);
    }
    await access(path, constants.W_OK | constants.X_OK);
    // The rights may say yes where the file system says no: full, or read-only.
    const trial = join(path, ".trial");
    try {
      await writeFile(trial, new Uint8Array(TRIAL_BYTES));
    } finally {
      await rm(trial, { force: true });
    }
  } catch (error) {
    const { code = "", message } = error as NodeJS.ErrnoException;
    if (code === "EEXIST" || code === "ENOTDIR") {
      throw new UsageError(`--results ${shown} is not a folder; name another`);
    }
    if (code === "") throw error;
    const isFull = code === "ENOSPC" || code === "EDQUOT";
    throw new Fault(
      isFull ? "host-disk-full" : "host-path-closed",
      `the results folder ${shown} cannot be written: ${message}. Nothing was started; --results DIR names another folder`,
      { cause: error, stage: "results folder" },
    );
  }
}

/** Writes the verdict into its results folder, whole or not at all, and last of all that is there. */
export async function writeVerdict(document: VerdictDocument): Promise<void> {
  const path = join(document.results, RESULT_NAMES.verdict);
  await writeAtomically(path, `${JSON.stringify(document, null, 2)}\n`);
}

/** Removes a results folder in which nothing was put but empty folders; with anything else in it, it stays. */
export async function removeResultsFolder(path: string): Promise<void> {
  for (const folder of [join(path, RESULT_NAMES.steps), path]) {
    await rmdir(folder).catch(() => undefined);
  }
}

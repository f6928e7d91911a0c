import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { writeAtomically } from "#lib/atomic-file.ts";
import { FileLock } from "#lib/file-lock.ts";
import { makeFolders } from "#lib/make-folders.ts";

/** Every name that this host's state folder may hold. QEMU's user must be able to pass through it. */
export const STATE_NAMES = {
  /** Which format the folder is in: a number and a newline. Missing in those of testbed 0.1.0 that no later one has opened. */
  format: "format",
  /** Id of this installation: 32 hex digits and a newline, made once. */
  installation: "installation",
  /** One folder for each machine: record, lock, disk, seed, console. */
  machines: "machines",
  /** The image store. */
  images: "images",
  /** Held for as long as it takes to sweep, count and choose a slot. */
  admissionLock: "admission.lock",
  /** Held while the acceleration probe runs, so that only one does. */
  probeLock: "probe.lock",
  /** What the acceleration probe found, for this boot of the host. */
  acceleration: "acceleration.json",
  /** Held by the daemon for as long as it lives. */
  daemonLock: "daemon.lock",
  /** One folder for each attempt of the job service's that still has something to say, or was set aside. */
  attempts: "attempts",
  /** The id that the next lease is asked for with. */
  requestId: "request-id",
  /** Why this host takes no work, while it is drained by somebody here. */
  drain: "drain.json",
  /** What is held against this host, while something is. */
  quarantine: "quarantine.json",
  /** What the last health check left behind. */
  health: "health",
  /** What smoke boots that failed left behind, a folder for each image. */
  smoke: "smoke",
} as const;

/** The format that this testbed reads and writes. What is in an older one is read as well; a newer one is not touched. */
const FORMAT = 1;

/** A newer testbed has written the state folder. */
export class NewerState extends Error {
  override readonly name = "NewerState";
}

/** A state folder that exists. */
export type StateFolder = { readonly path: string; readonly installation: string };

/**
 * Makes the state folder and its installation id when they are missing. Safe twice and from several processes at once. Throws
 * `NewerState`.
 */
export async function openStateFolder(path: string): Promise<StateFolder> {
  await refuseNewer(path);
  await makeFolders(join(path, STATE_NAMES.machines), 0o755);
  const file = join(path, STATE_NAMES.installation);
  const known = await readInstallation(file);
  const format = join(path, STATE_NAMES.format);
  if (!existsSync(format)) await writeAtomically(format, `${FORMAT}\n`);
  if (known !== undefined) return { path, installation: known };
  using _ = await FileLock.take(join(path, STATE_NAMES.admissionLock), AbortSignal.timeout(10_000));
  const made = (await readInstallation(file)) ?? randomBytes(16).toString("hex");
  await writeAtomically(file, `${made}\n`);
  return { path, installation: made };
}

/** Before anything in the folder is touched. */
async function refuseNewer(path: string): Promise<void> {
  const file = join(path, STATE_NAMES.format);
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  const has = text === undefined ? 0 : Number(text);
  if (Number.isSafeInteger(has) && has <= FORMAT) return;
  throw new NewerState(
    `the state folder ${path} is in format ${text?.trim().slice(0, 20)}, and this testbed knows ${FORMAT}: run the newer testbed that wrote it, or name another folder`,
  );
}

async function readInstallation(file: string): Promise<string | undefined> {
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  return text !== undefined && /^[0-9a-f]{32}\n$/.test(text) ? text.trim() : undefined;
}

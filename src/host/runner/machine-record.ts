import { readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { isOurMachine } from "#job/machine-name.ts";
import { writeAtomically } from "#lib/atomic-file.ts";
import { STATE_NAMES, type StateFolder } from "./state-folder.ts";

/** What a machine's folder says about it, written before anything of the machine is made. */
export type MachineRecord = {
  readonly name: string;
  readonly job: string;
  readonly attempt: number;
  readonly slot: number;
  readonly memoryMiB: number;
  /** The process that made it; for people only, the lock is what counts. */
  readonly pid: number;
  /** Left running on purpose: neither swept nor destroyed until somebody says so. */
  readonly kept: boolean;
  /** Of an attempt that is taken up again when its process dies: only a daemon knows whether it still wants the machine. */
  readonly isResumable?: boolean;
  /** Where it answered, once known. */
  readonly address?: string;
};

/** File names in a machine's folder. */
export const MACHINE_FILES = {
  record: "machine.json",
  lock: "lock",
  disk: "disk.qcow2",
  sshConfig: "ssh_config",
  knownHosts: "known_hosts",
  key: "id_ed25519",
  access: "access.json",
} as const;

/** The folder of a machine. */
export function machineFolder(state: StateFolder, name: string): string {
  return join(state.path, STATE_NAMES.machines, name);
}

/** Writes a machine's record into its folder, which must exist. */
export async function writeRecord(state: StateFolder, record: MachineRecord): Promise<void> {
  const path = join(machineFolder(state, record.name), MACHINE_FILES.record);
  await writeAtomically(path, `${JSON.stringify(record, null, 2)}\n`);
}

/** Begins the name of a machine's folder that is on its way out; see `removeFolder`. */
const GONE = "gone-";

/**
 * Removes a machine's folder. It is renamed first, so that nobody ever sees half of it: a sweep that looked for the lock
 * just then would make a new lock file in it. What a crash leaves in between is swept too. Twice is safe.
 */
export async function removeFolder(state: StateFolder, name: string): Promise<void> {
  const gone = join(state.path, STATE_NAMES.machines, `${GONE}${name}`);
  await rename(machineFolder(state, name), gone).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
  });
  await rm(gone, { recursive: true, force: true });
}

/** Removes what crashes left of folders that were being removed. Somebody who is still at it does not mind. */
export async function removeGone(state: StateFolder): Promise<void> {
  const folder = join(state.path, STATE_NAMES.machines);
  const names = (await readdir(folder)).filter((name) => name.startsWith(GONE));
  const remove = (name: string) => rm(join(folder, name), { recursive: true, force: true });
  await Promise.all(names.map((name) => remove(name).catch(() => undefined)));
}

/** Every folder of this installation's machines, with its record; `undefined` when its maker died before writing one. */
export async function readRecords(
  state: StateFolder,
): Promise<readonly { readonly name: string; readonly record: MachineRecord | undefined }[]> {
  const names = await readdir(join(state.path, STATE_NAMES.machines));
  const ours = names.filter((name) => isOurMachine(name, state.installation));
  return await Promise.all(
    ours.map(async (name) => ({ name, record: await readRecord(state, name) })),
  );
}

/** One machine's record; a damaged one counts as none. */
export async function readRecord(
  state: StateFolder,
  name: string,
): Promise<MachineRecord | undefined> {
  const path = join(machineFolder(state, name), MACHINE_FILES.record);
  const text = await readFile(path, "utf8").catch(() => undefined);
  try {
    const record = text === undefined ? undefined : (JSON.parse(text) as Partial<MachineRecord>);
    return isRecord(record) && record.name === name ? record : undefined;
  } catch {
    return undefined;
  }
}

function isRecord(value: Partial<MachineRecord> | null | undefined): value is MachineRecord {
  return (
    typeof value?.name === "string" &&
    Number.isSafeInteger(value.slot) &&
    Number.isSafeInteger(value.memoryMiB) &&
    typeof value.kept === "boolean"
  );
}

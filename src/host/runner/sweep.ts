import { existsSync } from "node:fs";
import { join } from "node:path";
import { FileLock } from "#lib/file-lock.ts";
import {
  MACHINE_FILES,
  type MachineRecord,
  machineFolder,
  readRecords,
  removeFolder,
  removeGone,
} from "./machine-record.ts";
import type { Hypervisor } from "./ports.ts";
import type { StateFolder } from "./state-folder.ts";

/** What is on this host after a sweep. */
export type Inventory = {
  /** Machines that somebody lives in or will take up, that were kept, or that resist: they count against slots and memory. */
  readonly standing: readonly MachineRecord[];
  /** Names of machines whose maker died, and that are gone now. */
  readonly swept: readonly string[];
  /** Leftovers that could not be removed; the next sweep tries again. */
  readonly failed: readonly { readonly name: string; readonly error: unknown }[];
};

/**
 * Removes machines whose maker is dead: of each machine folder and each of our domains in libvirt,
 *
 *     lock held            → somebody lives in it: leave alone
 *     kept, domain exists  → leave alone
 *     resumable, wanted    → leave alone: a daemon takes it up
 *     anything else        → destroy the domain, remove the folder
 *
 * Only a daemon knows which attempts it wants; for everybody else all are `isWanted`. Call it under the admission lock, which is what makes "no lock held" mean "dead" and not "just beginning".
 */
export async function sweep(
  state: StateFolder,
  hypervisor: Hypervisor,
  signal: AbortSignal,
  isWanted: (name: string) => boolean = () => true,
): Promise<Inventory> {
  const [folders, domains] = await Promise.all([
    readRecords(state),
    hypervisor.list(state.installation, signal),
  ]);
  await removeGone(state);
  const records = new Map(folders.map(({ name, record }) => [name, record]));
  const standing: MachineRecord[] = [];
  const swept: string[] = [];
  const failed: { name: string; error: unknown }[] = [];
  for (const name of new Set([...records.keys(), ...domains])) {
    const record = records.get(name);
    using lock = records.has(name) ? tryLock(state, name) : undefined;
    const isLive =
      records.has(name) && lock === undefined && existsSync(machineFolder(state, name));
    const isKept = record?.kept === true && domains.includes(name);
    const isAwaited = record?.isResumable === true && isWanted(name);
    if (record !== undefined && (isLive || isKept || isAwaited)) {
      standing.push(record);
    } else if (!isLive) {
      await removeMachine(state, hypervisor, name, signal).then(
        () => swept.push(name),
        (error: unknown) => {
          failed.push({ name, error });
          if (record !== undefined) standing.push(record);
        },
      );
    }
  }
  return { standing, swept, failed };
}

/** Destroys a machine of this installation and removes its folder. Twice is safe. */
export async function removeMachine(
  state: StateFolder,
  hypervisor: Hypervisor,
  name: string,
  signal: AbortSignal,
): Promise<void> {
  await hypervisor.remove(state.installation, name, signal);
  await removeFolder(state, name);
}

/** The machine's lock; undefined when somebody holds it, or when its folder went away since it was listed. */
function tryLock(state: StateFolder, name: string): FileLock | undefined {
  const folder = machineFolder(state, name);
  try {
    return FileLock.tryTake(join(folder, MACHINE_FILES.lock));
  } catch (error) {
    if (!existsSync(folder)) return undefined;
    throw error;
  }
}

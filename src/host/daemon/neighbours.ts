import { join } from "node:path";
import { OVERHEAD_MIB } from "#host/runner/admission.ts";
import { MACHINE_FILES, machineFolder, readRecords } from "#host/runner/machine-record.ts";
import type { Hypervisor } from "#host/runner/ports.ts";
import type { StateFolder } from "#host/runner/state-folder.ts";
import { FileLock } from "#lib/file-lock.ts";

/**
 * Memory in MiB of the machines in this state folder that another process made and that stand: those of `testbed run`, and kept ones.
 * Admission counts them too, and whoever offers their room has jobs wait here while their time runs. Throws what libvirt's list
 * throws, libvirt-unreachable above all.
 */
export async function neighboursMiB(
  { state, hypervisor }: { state: StateFolder; hypervisor: Pick<Hypervisor, "list"> },
  signal: AbortSignal,
): Promise<number> {
  const [folders, domains] = await Promise.all([
    readRecords(state),
    hypervisor.list(state.installation, signal),
  ]);
  return folders
    .flatMap(({ record }) => record ?? [])
    .filter(({ pid }) => pid !== process.pid)
    .filter(({ name, kept }) => (kept && domains.includes(name)) || isLocked(state, name))
    .reduce((sum, { memoryMiB }) => sum + memoryMiB + OVERHEAD_MIB, 0);
}

/** Whether its maker lives. Only for machines that have a record: before it is written the lock must not be touched. */
function isLocked(state: StateFolder, name: string): boolean {
  try {
    using lock = FileLock.tryTake(join(machineFolder(state, name), MACHINE_FILES.lock));
    return lock === undefined;
  } catch {
    // It went away meanwhile.
    return false;
  }
}

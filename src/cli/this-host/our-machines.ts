import { join } from "node:path";
import { UsageError } from "#cli/exit-code.ts";
import {
  MACHINE_FILES,
  type MachineRecord,
  machineFolder,
  readRecords,
} from "#host/runner/machine-record.ts";
import type { Hypervisor } from "#host/runner/ports.ts";
import type { StateFolder } from "#host/runner/state-folder.ts";
import { FileLock } from "#lib/file-lock.ts";
import { printable } from "#lib/printable.ts";

/** A machine of this installation, as people see it. */
export type OurMachine = {
  readonly name: string;
  /**
   * in use: a process of ours lives in it. kept: left running on purpose. awaits daemon: the next daemon goes on with it, or removes it.
   * leftover: the next run sweeps it.
   */
  readonly state: "in use" | "kept" | "awaits daemon" | "leftover";
  /** Missing when its maker died before writing it. */
  readonly record: MachineRecord | undefined;
};

/** All machines of this installation: those with a folder here and those in libvirt. Changes nothing. */
export async function listMachines(
  state: StateFolder,
  hypervisor: Pick<Hypervisor, "list">,
  signal: AbortSignal,
): Promise<readonly OurMachine[]> {
  const [folders, domains] = await Promise.all([
    readRecords(state),
    hypervisor.list(state.installation, signal),
  ]);
  const records = new Map(folders.map(({ name, record }) => [name, record]));
  return [...new Set([...records.keys(), ...domains])].sort().map((name) => {
    const record = records.get(name);
    const isKept = record?.kept === true && domains.includes(name);
    // Without a record it may be beginning just now: whoever touched its lock then would end that.
    const isInUse = record !== undefined && isLocked(state, name);
    const unused = record?.isResumable === true ? "awaits daemon" : "leftover";
    return { name, record, state: isInUse ? "in use" : isKept ? "kept" : unused };
  });
}

/** The machine of this name. Throws `UsageError` that says which there are. */
export function pickMachine(machines: readonly OurMachine[], name: string): OurMachine {
  const found = machines.find((machine) => machine.name === name);
  if (found !== undefined) return found;
  const there =
    machines.length === 0
      ? "there are none"
      : `there is ${machines.map((machine) => machine.name).join(", ")}`;
  throw new UsageError(`no machine '${printable(name, 100)}' of this installation; ${there}`);
}

function isLocked(state: StateFolder, name: string): boolean {
  using lock = FileLock.tryTake(join(machineFolder(state, name), MACHINE_FILES.lock));
  return lock === undefined;
}

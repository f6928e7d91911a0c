import { chmod, mkdir, statfs } from "node:fs/promises";
import { totalmem } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Fault } from "#job/fault.ts";
import { type MachineIdentity, machineName } from "#job/machine-name.ts";
import { FileLock } from "#lib/file-lock.ts";
import {
  MACHINE_FILES,
  type MachineRecord,
  machineFolder,
  readRecord,
  removeFolder,
  writeRecord,
} from "./machine-record.ts";
import type { Hypervisor } from "./ports.ts";
import { STATE_NAMES, type StateFolder } from "./state-folder.ts";
import { type Inventory, sweep } from "./sweep.ts";

/** QEMU's own memory beside the guest's: measured at 131 MB, more under emulation for translated code. */
export const OVERHEAD_MIB = 192;

/** Left to the host itself. */
const RESERVE_MIB = 512;

/** Below this much free space no machine is begun. */
const DISK_FREE_MIB_MIN = 256;

const SLOTS_MAX = 64;
const ASK_AGAIN_MS = 250;
const LOCK_MS = 5_000;

/** Room for one machine: its folder and its slot, held by a lock that dies with this process. */
export class Place implements AsyncDisposable {
  readonly record: MachineRecord;
  readonly folder: string;
  readonly #state: StateFolder;
  readonly #lock: FileLock;
  #isLeft = false;

  constructor(state: StateFolder, record: MachineRecord, lock: FileLock) {
    this.#state = state;
    this.record = record;
    this.folder = machineFolder(state, record.name);
    this.#lock = lock;
  }

  /** Leaves folder and record standing when this is disposed. */
  async keep(address: string | undefined): Promise<void> {
    const { record } = this;
    await writeRecord(this.#state, {
      ...record,
      kept: true,
      ...(address === undefined ? {} : { address }),
    });
    this.#isLeft = true;
  }

  /** Leaves folder and record for a sweep, which does what teardown could not. Nobody waits for this machine any more. */
  async leaveToSweep(): Promise<void> {
    this.#isLeft = true;
    await writeRecord(this.#state, { ...this.record, isResumable: false });
  }

  /**
   * The place that an earlier process took for a machine; undefined when its folder or record is gone, or when somebody is still in
   * it after a while: who sweeps holds each lock for a moment, to see whether anybody else does.
   */
  static async again(state: StateFolder, name: string): Promise<Place | undefined> {
    const record = await readRecord(state, name);
    if (record === undefined) return undefined;
    const limit = AbortSignal.timeout(LOCK_MS);
    const path = join(machineFolder(state, name), MACHINE_FILES.lock);
    const lock = await FileLock.take(path, limit).catch((error: unknown) => {
      if (!limit.aborted) throw error;
    });
    return lock === undefined ? undefined : new Place(state, record, lock);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    using _ = this.#lock;
    if (!this.#isLeft) await removeFolder(this.#state, this.record.name);
  }
}

/** What a machine needs of the host. */
export type Need = {
  readonly identity: MachineIdentity;
  readonly memoryMiB: number;
  /** Taken up again when this process dies. */
  readonly isResumable?: boolean;
};

/**
 * Sweeps leftovers, then takes a slot and memory for one machine, waiting while others hold them. All processes of an
 * installation share the count. Throws host-no-room when it would not fit on the empty host, host-disk-full.
 */
export async function admit(
  { state, hypervisor }: { state: StateFolder; hypervisor: Hypervisor },
  need: Need,
  onProgress: (line: string) => void,
  signal: AbortSignal,
): Promise<Place> {
  refuseHopeless(need.memoryMiB);
  const said = new Set<string>();
  // Asked four times a second while there is no room, so each thing is said once.
  const sayOnce = (line: string) => {
    if (!said.has(line)) onProgress(line);
    said.add(line);
  };
  for (;;) {
    const { place, why } = await tryAdmit({ state, hypervisor }, need, sayOnce, signal);
    if (place !== undefined) return place;
    sayOnce(`waiting for room: ${why}`);
    await delay(ASK_AGAIN_MS, undefined, { signal });
  }
}

async function tryAdmit(
  { state, hypervisor }: { state: StateFolder; hypervisor: Hypervisor },
  { identity, memoryMiB, isResumable = false }: Need,
  onProgress: (line: string) => void,
  signal: AbortSignal,
): Promise<{ place?: Place; why: string }> {
  using _ = await FileLock.take(join(state.path, STATE_NAMES.admissionLock), signal);
  const inventory = await sweep(state, hypervisor, signal);
  for (const name of inventory.swept) onProgress(`swept the leftover machine ${name}`);
  for (const { name, error } of inventory.failed)
    onProgress(`could not sweep ${name}: ${(error as Error).message}`);
  await refuseFullDisk(state.path);
  const slot = freeSlot(inventory);
  const why = whyNot(inventory, memoryMiB, slot);
  if (why !== undefined || slot === undefined) return { why: why ?? "" };

  const name = machineName(identity);
  const { job, attempt } = identity;
  const ours = { pid: process.pid, kept: false, isResumable };
  const record = { name, job, attempt, slot, memoryMiB, ...ours };
  await mkdir(machineFolder(state, name));
  // Not mkdir's own mode: QEMU's user has to pass through, whatever the umask says.
  await chmod(machineFolder(state, name), 0o711);
  const lock = FileLock.tryTake(join(machineFolder(state, name), MACHINE_FILES.lock));
  if (lock === undefined) throw new Error(`the new folder of ${name} is locked already`);
  const place = new Place(state, record, lock);
  try {
    await writeRecord(state, record);
  } catch (error) {
    await place[Symbol.asyncDispose]();
    throw error;
  }
  return { place, why: "" };
}

function freeSlot({ standing }: Inventory): number | undefined {
  const taken = new Set(standing.map(({ slot }) => slot));
  return Array.from({ length: SLOTS_MAX }, (_, slot) => slot).find((slot) => !taken.has(slot));
}

function whyNot(
  { standing }: Inventory,
  memoryMiB: number,
  slot: number | undefined,
): string | undefined {
  if (slot === undefined) return `all ${SLOTS_MAX} slots are taken`;
  const usedMiB = standing.reduce((sum, record) => sum + record.memoryMiB + OVERHEAD_MIB, 0);
  if (usedMiB + memoryMiB + OVERHEAD_MIB <= roomMiB()) return undefined;
  return `${standing.length} machines use ${usedMiB} of ${roomMiB()} MiB, and this one needs ${memoryMiB + OVERHEAD_MIB}`;
}

function roomMiB(): number {
  return Math.floor(totalmem() / 2 ** 20) - RESERVE_MIB;
}

function refuseHopeless(memoryMiB: number): void {
  if (memoryMiB + OVERHEAD_MIB <= roomMiB()) return;
  throw new Fault(
    "host-no-room",
    `the job asks for ${memoryMiB} MiB of memory, and this host can give a machine at most ${roomMiB() - OVERHEAD_MIB} MiB. Lower resources.memory`,
    { stage: "admission" },
  );
}

async function refuseFullDisk(path: string): Promise<void> {
  const { bavail, bsize } = await statfs(path);
  const freeMiB = Math.floor((bavail * bsize) / 2 ** 20);
  if (freeMiB >= DISK_FREE_MIB_MIN) return;
  throw new Fault(
    "host-disk-full",
    `${path} has ${freeMiB} MiB free, and a machine is begun only with ${DISK_FREE_MIB_MIN} MiB. Free some space there`,
    { stage: "admission" },
  );
}

import { statfs } from "node:fs/promises";
import { freemem, loadavg, totalmem } from "node:os";
import { OVERHEAD_MIB } from "#host/runner/admission.ts";
import { printable } from "#lib/printable.ts";
import type { Room } from "#protocol/lease.ts";

/** What this host may give to machines. */
export type Limits = {
  /** Machines at once. */
  readonly slots: number;
  /** Virtual CPUs in all. */
  readonly cpus: number;
  /** Left to the host itself. */
  readonly memoryReserveMiB: number;
  readonly diskReserveMiB: number;
  /** No work is taken while the load of the last minute is above so much for each of the host's CPUs. */
  readonly loadMax: number;
};

/** The host as it is now. */
export type HostFacts = {
  readonly hostCpus: number;
  readonly memoryMiB: number;
  /** What could be used without swapping: MemAvailable, proc(5). */
  readonly availableMiB: number;
  readonly diskMiB: number;
  readonly diskFreeMiB: number;
  /** Runnable tasks on average over a minute. */
  readonly load: number;
  /** What machines that others made here take, QEMU's own included: `testbed run` on the same state folder, kept ones. */
  readonly neighboursMiB: number;
};

/** What one attempt takes for itself. */
export type Claim = { readonly cpus: number; readonly memoryMiB: number; readonly diskMiB: number };

/** What there is in all and what is left of it; `hold` says why nothing more begins here just now. */
export function roomOf(
  limits: Limits,
  facts: HostFacts,
  claims: readonly Claim[],
): { readonly capacity: Room; readonly free: Room; readonly hold: string | undefined } {
  const sum = (of: (claim: Claim) => number) => claims.reduce((all, claim) => all + of(claim), 0);
  const memoryMiB = facts.memoryMiB - limits.memoryReserveMiB - OVERHEAD_MIB;
  const capacity = {
    slots: limits.slots,
    cpus: limits.cpus,
    memoryMiB: positive(memoryMiB),
    diskMiB: positive(facts.diskMiB - limits.diskReserveMiB),
  };
  const claimedMiB = sum((claim) => claim.memoryMiB + OVERHEAD_MIB);
  const unclaimedMiB = memoryMiB - claimedMiB - facts.neighboursMiB;
  const unusedMiB = facts.availableMiB - limits.memoryReserveMiB - OVERHEAD_MIB;
  const hold = holdOf(limits, facts);
  const free = {
    slots: hold === undefined ? positive(limits.slots - claims.length) : 0,
    cpus: positive(limits.cpus - sum((claim) => claim.cpus)),
    memoryMiB: positive(Math.min(unclaimedMiB, unusedMiB)),
    diskMiB: positive(facts.diskFreeMiB - limits.diskReserveMiB - sum((claim) => claim.diskMiB)),
  };
  return { capacity, free, hold };
}

/** What is true of the host now; `folder` is where machines' disks grow. */
export async function hostFacts(
  folder: string,
  { hostCpus, neighboursMiB }: Pick<HostFacts, "hostCpus" | "neighboursMiB">,
): Promise<HostFacts> {
  const { blocks, bavail, bsize } = await statfs(folder);
  return {
    hostCpus,
    memoryMiB: Math.floor(totalmem() / 2 ** 20),
    availableMiB: Math.floor(freemem() / 2 ** 20),
    diskMiB: Math.floor((blocks * bsize) / 2 ** 20),
    diskFreeMiB: Math.floor((bavail * bsize) / 2 ** 20),
    load: loadavg()[0] ?? 0,
    neighboursMiB,
  };
}

/** The wire takes so many visible characters on one line. */
const HOLD_CHARACTERS_MAX = 500;

/** Why the host takes nothing, as the wire takes it: libvirt's own words may have any length and any number of lines. */
export function fitHold(why: string): string {
  return [...printable(why, HOLD_CHARACTERS_MAX)].slice(0, HOLD_CHARACTERS_MAX).join("");
}

function holdOf(limits: Limits, { load, hostCpus, diskFreeMiB }: HostFacts): string | undefined {
  if (load > limits.loadMax * hostCpus)
    return `the load is ${load.toFixed(1)}, above ${(limits.loadMax * hostCpus).toFixed(1)}`;
  if (diskFreeMiB <= limits.diskReserveMiB)
    return `the disk has ${diskFreeMiB} MiB free, and ${limits.diskReserveMiB} are kept for the host`;
  return undefined;
}

function positive(value: number): number {
  return Math.max(0, Math.floor(value));
}

import { join } from "node:path";
import { writeAccess } from "./access-file.ts";
import { admit, type Place } from "./admission.ts";
import { resolveHeld } from "./held-image.ts";
import { keepMachine } from "./keep-machine.ts";
import { whileLibvirtIsAway } from "./libvirt-patience.ts";
import { MACHINE_FILES } from "./machine-record.ts";
import type { Access, Image, Machine, MachineOrder } from "./ports.ts";
import { settleAcceleration } from "./settle-acceleration.ts";
import type { Work } from "./work.ts";

/** QEMU's security policy covers guests under KVM only: https://www.qemu.org/docs/master/system/security.html. */
const EMULATION_WARNING =
  "emulated, without KVM: slow, and no protection from a job that attacks the emulator";

/** Beyond the attempt's deadline, for a daemon that comes back late: collecting what there is takes a minute at most. */
export const CURFEW_GRACE_SECONDS = 120;

/** A machine that stands, with what it takes to get into its guest. */
export type Stand = {
  readonly place: Place;
  readonly image: Image;
  readonly access: Access;
  readonly machine: Machine;
};

/** Prepares and starts the attempt's machine, from nothing. The work's scope holds all of it from then on. */
export async function beginMachine(
  work: Work,
  secondsLeft: number,
  signal: AbortSignal,
): Promise<Stand> {
  const { chronicle, journal } = work;
  await chronicle.reach("preparing");
  const { order, access, place } = await prepare(work, secondsLeft, signal);
  const { image, acceleration, cpus, memoryMiB, name } = order;
  const machine = { name, memoryMiB, cpus };
  chronicle.draft.machine = machine;
  await journal.note({ entry: "machine", image, acceleration, machine });
  await chronicle.reach("booting");
  const started = await startMachine(work, order, signal);
  const stand = { place, image, access, machine: started };
  hold(work, stand);
  return stand;
}

/** The scope takes the machine down, and `--keep` lets it stand. What cannot be taken down is left to a sweep with its place. */
export function hold(work: Work, { place, machine, access }: Stand): void {
  const { scope, holdings, order, chronicle } = work;
  holdings.machine = machine;
  scope.defer(() => takeDown(machine, place));
  if (order.keep) scope.defer(() => keepMachine({ place, machine, access, holdings, chronicle }));
}

/** Removes a machine. One that would not go keeps its place, for a sweep; then it throws. */
export async function takeDown(machine: Machine, place: Place): Promise<void> {
  try {
    await machine[Symbol.asyncDispose]();
  } catch (error) {
    await place.leaveToSweep();
    throw error;
  }
}

async function prepare(work: Work, secondsLeft: number, signal: AbortSignal) {
  const { house, order, chronicle, listener, scope } = work;
  const { spec, job, attempt } = order;
  const { state, hypervisor } = house;
  const progress = (line: string) => listener.progress(line);
  const { images } = house;
  const image = await resolveHeld({ images, scope }, spec.image, progress, signal);
  chronicle.draft.image = { name: image.name, version: image.version, digest: image.digest };
  listener.image(chronicle.draft.image);
  const acceleration = await settleAcceleration(house, order.acceleration, listener, signal);
  chronicle.draft.acceleration = acceleration;
  if (acceleration === "tcg") progress(EMULATION_WARNING);
  const identity = { installation: state.installation, job, attempt };
  const memoryMiB = Math.max(spec.memoryMiB ?? 0, image.memoryMiBMin);
  const { isResumable } = order;
  const place = scope.use(
    await whileLibvirtIsAway(
      work,
      () => admit({ state, hypervisor }, { identity, memoryMiB, isResumable }, progress, signal),
      signal,
    ),
  );
  const { folder } = place;
  const { slot, name } = place.record;
  const diskPath = join(folder, MACHINE_FILES.disk);
  const curfewSeconds = order.keep ? undefined : Math.ceil(secondsLeft) + CURFEW_GRACE_SECONDS;
  const [access] = await Promise.all([
    house.guests.prepare({ folder, identity, name, image, curfewSeconds }, signal),
    images.overlay(image, diskPath, spec.diskMiB, signal),
  ]);
  if (isResumable) await writeAccess(folder, access);
  const { seedPath } = access;
  const size = { cpus: spec.cpus, memoryMiB };
  return {
    place,
    access,
    order: { identity, name, folder, slot, ...size, image, diskPath, seedPath, acceleration },
  };
}

/**
 * A start whose answer was lost may have started the machine: it is looked for, and taken up as it is. One that is over already died
 * with the libvirtd that was starting it, and is started again.
 */
async function startMachine(
  work: Work,
  order: MachineOrder,
  signal: AbortSignal,
): Promise<Machine> {
  const { hypervisor } = work.house;
  const startedAtMs = performance.now();
  const start = async (isAgain: boolean) => {
    if (!isAgain) return await hypervisor.boot(order, signal);
    const found = await hypervisor.adopt({ ...order, startedAtMs }, signal);
    if (found?.ended.aborted === false) return found;
    await found?.[Symbol.asyncDispose]();
    await hypervisor.remove(order.identity.installation, order.name, signal);
    return await hypervisor.boot(order, signal);
  };
  return await whileLibvirtIsAway(work, start, signal);
}

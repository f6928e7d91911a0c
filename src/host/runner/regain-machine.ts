import { Fault } from "#job/fault.ts";
import { machineName } from "#job/machine-name.ts";
import { isBefore } from "#job/phase.ts";
import { uptimeMs } from "#lib/host-boot.ts";
import { readAccess } from "./access-file.ts";
import { Place } from "./admission.ts";
import { CURFEW_GRACE_SECONDS, hold, type Stand, takeDown } from "./begin-machine.ts";
import type { Past } from "./journal.ts";
import { whileLibvirtIsAway } from "./libvirt-patience.ts";
import { removeMachine } from "./sweep.ts";
import type { Work } from "./work.ts";

/** Removing what is left of a machine that is not to be used; libvirt may take its time. */
const REMOVE_MS = 60_000;

/**
 * Takes up the machine of an attempt that an earlier process began. What its journal wants against what there is:
 *
 *     new attempt                                → undefined: begin
 *     of an earlier boot of the host             → host-restarted
 *     preparing, or booting and no machine runs  → what there is of it goes; undefined: begin again
 *     connecting or later, or one runs           → that machine, running or with how it ended
 *     connecting or later, without a machine     → machine-crashed
 *
 * The work's scope holds the machine from then on.
 */
export async function regainMachine(work: Work, signal: AbortSignal): Promise<Stand | undefined> {
  const { house, order, journal, chronicle, scope } = work;
  const { past } = journal;
  if (chronicle.phase === "leased" && !past.isOfEarlierBoot) return undefined;
  noteMachine(work, past);
  const { state, hypervisor } = house;
  const { installation } = state;
  const name = machineName({ installation, job: order.job, attempt: order.attempt });
  const remove = () => removeMachine(state, hypervisor, name, AbortSignal.timeout(REMOVE_MS));
  if (past.isOfEarlierBoot) {
    scope.defer(remove);
    throw new Fault(
      "host-restarted",
      "this host was booted while the attempt ran, and its machine is gone",
    );
  }
  const found = past.machine && (await find(work, past.machine, name));
  if (found !== undefined) return found;
  if (isBefore("booting", chronicle.phase)) {
    scope.defer(remove);
    throw new Fault("machine-crashed", `${name} ended while nobody looked, and nothing says how`);
  }
  await whileLibvirtIsAway(work, remove, signal);
  return undefined;
}

function noteMachine({ chronicle }: Work, { machine: known }: Past): void {
  if (known === undefined) return;
  const { image, acceleration, machine } = known;
  chronicle.draft.image = { name: image.name, version: image.version, digest: image.digest };
  chronicle.draft.acceleration = acceleration;
  chronicle.draft.machine = machine;
}

async function find(
  work: Work,
  { image, acceleration }: NonNullable<Past["machine"]>,
  name: string,
): Promise<Stand | undefined> {
  const { house, order, chronicle, scope } = work;
  const { state, hypervisor } = house;
  const place = await Place.again(state, name);
  if (place === undefined) return undefined;
  const access = await readAccess(place.folder);
  const { folder } = place;
  const { slot } = place.record;
  const identity = { installation: state.installation, job: order.job, attempt: order.attempt };
  const startedMs = chronicle.since("booting") ?? uptimeMs();
  const startedAtMs = performance.now() - (uptimeMs() - startedMs);
  const about = { identity, name, folder, slot, acceleration, startedAtMs };
  // An attempt that is to end needs its machine as well: who else would take it down?
  const heedless = new AbortController().signal;
  // One that is gone from the store is still open in its QEMU.
  const held = await house.images.hold(image, heedless);
  if (held !== undefined) scope.use(held);
  const machine = await whileLibvirtIsAway(
    work,
    () => hypervisor.adopt(about, heedless),
    heedless,
  ).catch(async (error: unknown) => {
    await using _ = place;
    await place.leaveToSweep();
    throw error;
  });
  // A machine that libvirtd was about to start when it died itself is over, and nothing has run in it yet.
  const isStillborn = chronicle.phase === "booting" && machine?.ended.aborted === true;
  if (machine === undefined || access === undefined || isStillborn) {
    await using _ = place;
    if (machine !== undefined) await takeDown(machine, place);
    return undefined;
  }
  const stand = { place: scope.use(place), image, access, machine };
  hold(work, stand);
  refuseAfterCurfew(work, stand);
  return stand;
}

/** Nobody looked after the attempt, so its guest did what the seed told it to, and what its steps came to is gone with it. */
function refuseAfterCurfew({ chronicle, order }: Work, { machine }: Stand): void {
  const { aborted, reason } = machine.ended;
  if (!aborted || !(reason instanceof Fault) || reason.code !== "guest-powered-off") return;
  const lifeMs = (order.spec.timeoutSeconds + CURFEW_GRACE_SECONDS) * 1000;
  if (uptimeMs() < (chronicle.since("leased") ?? uptimeMs()) + lifeMs) return;
  const says = "nobody looked after the attempt until its time was over and its guest switched off";
  throw new Fault("host-restarted", says, { cause: reason });
}

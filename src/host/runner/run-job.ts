import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { JobSpec } from "#job/spec.ts";
import type { Verdict } from "#job/verdict.ts";
import { Ended, verdictOf } from "#job/verdict.ts";
import { deadline } from "#lib/deadline.ts";
import { admit } from "./admission.ts";
import type { AttemptOrder, AttemptReport, Listener } from "./attempt.ts";
import { blame } from "./blame.ts";
import { Chronicle } from "./chronicle.ts";
import { collectArtifacts, saveEvidence } from "./evidence.ts";
import type { Holdings } from "./holdings.ts";
import { keepMachine } from "./keep-machine.ts";
import { MACHINE_FILES } from "./machine-record.ts";
import type { Guest, House } from "./ports.ts";
import { RESULT_NAMES } from "./results-folder.ts";
import { runSteps } from "./run-steps.ts";
import { settleAcceleration } from "./settle-acceleration.ts";

/** QEMU's security policy covers guests under KVM only: https://www.qemu.org/docs/master/system/security.html. */
const EMULATION_WARNING =
  "emulated, without KVM: slow, and no protection from a job that attacks the emulator";

/**
 * One order, one machine, one verdict. Never throws.
 *
 * The verdict is settled while the machine still exists, so a failed teardown can never replace it. Teardown is
 * last-in-first-out, hears no signal, and what it leaves behind is a leak for the next sweep.
 */
export async function runJob(
  house: House,
  order: AttemptOrder,
  listener: Listener,
  cancel: AbortSignal,
): Promise<AttemptReport> {
  const chronicle = new Chronicle(listener);
  const scope = new AsyncDisposableStack();
  const holdings: Holdings = {};
  const { timeoutSeconds } = order.spec;
  using limit = deadline(
    timeoutSeconds * 1000,
    () =>
      new Ended(
        "timed-out",
        `the attempt took longer than its ${timeoutSeconds} s, in phase ${chronicle.phase}`,
      ),
  );
  const signal = AbortSignal.any([cancel, limit.signal]);

  const verdict = await walk({ house, order, listener, chronicle, holdings }, scope, signal).catch(
    async (error: unknown) => verdictOf(await blame(error, chronicle.phase, holdings.machine)),
  );
  await saveEvidence(order, chronicle, holdings, verdict);
  chronicle.enter("settled");
  await scope.disposeAsync().catch((error: unknown) => chronicle.leak("teardown", error));
  return chronicle.report(verdict);
}

type Attempt = {
  readonly house: House;
  readonly order: AttemptOrder;
  readonly listener: Listener;
  readonly chronicle: Chronicle;
  readonly holdings: Holdings;
};

async function walk(
  attempt: Attempt,
  scope: AsyncDisposableStack,
  signal: AbortSignal,
): Promise<Verdict> {
  const { house, order, listener, chronicle, holdings } = attempt;
  const { spec, job } = order;
  const { state, hypervisor } = house;

  chronicle.enter("preparing");
  await mkdir(join(order.resultsFolder, RESULT_NAMES.steps), { recursive: true });
  const image = await house.images.resolve(spec.image, (line) => listener.progress(line), signal);
  chronicle.draft.image = { name: image.name, version: image.version, digest: image.digest };
  listener.image(chronicle.draft.image);
  const acceleration = await settleAcceleration(house, order.acceleration, listener, signal);
  chronicle.draft.acceleration = acceleration;
  if (acceleration === "tcg") listener.progress(EMULATION_WARNING);
  const identity = { installation: state.installation, job, attempt: order.attempt };
  const memoryMiB = Math.max(spec.memoryMiB ?? 0, image.memoryMiBMin);
  const place = scope.use(
    await admit(
      { state, hypervisor },
      { identity, memoryMiB },
      (line) => listener.progress(line),
      signal,
    ),
  );
  const { name, slot } = place.record;
  chronicle.draft.machine = { name, memoryMiB, cpus: spec.cpus };
  const diskPath = join(place.folder, MACHINE_FILES.disk);
  const [access] = await Promise.all([
    house.guests.prepare({ folder: place.folder, identity, name, image }, signal),
    house.images.overlay(image, diskPath, spec.diskMiB, signal),
  ]);

  chronicle.enter("booting");
  const { folder } = place;
  const { seedPath } = access;
  const size = { cpus: spec.cpus, memoryMiB };
  const machine = scope.use(
    await hypervisor.boot(
      { identity, name, folder, slot, ...size, image, diskPath, seedPath, acceleration },
      signal,
    ),
  );
  holdings.machine = machine;
  if (order.keep) scope.defer(() => keepMachine({ place, machine, access, holdings, chronicle }));
  const alive = AbortSignal.any([signal, machine.ended]);

  chronicle.enter("connecting");
  const onRequirement = (requirement: string, now: "waiting" | "met", elapsedMs: number) => {
    if (now === "met") chronicle.mark(requirement, machine.startedAtMs);
    listener.requirement(requirement, now, elapsedMs);
  };
  const guest = scope.use(await house.guests.connect(machine, access, image, onRequirement, alive));
  holdings.guest = guest;

  chronicle.enter("running");
  await sendInputs(guest, { inputs: spec.inputs, listener }, alive);
  const verdict = await runSteps({ guest, machine, order, listener, chronicle }, alive);

  chronicle.enter("collecting");
  await collectArtifacts(order, chronicle, guest, alive).catch((error: unknown) => {
    // A step's failure is the job's answer, and what breaks afterwards does not take it back; a cancel does.
    if (verdict.kind === "passed" || cancelledIn(error)) throw error;
    chronicle.missing("artifacts", error);
  });
  return verdict;
}

async function sendInputs(
  guest: Guest,
  { inputs, listener }: { inputs: JobSpec["inputs"]; listener: Listener },
  signal: AbortSignal,
): Promise<void> {
  let sentBytes = 0;
  const onBytes = (bytes: number) => {
    sentBytes = bytes;
    listener.inputsSent(bytes, false);
  };
  await guest.send(inputs, onBytes, signal);
  if (inputs.length > 0) listener.inputsSent(sentBytes, true);
}

function cancelledIn(error: unknown): boolean {
  return Ended.in(error)?.kind === "cancelled";
}

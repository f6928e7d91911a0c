import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { JobSpec } from "#job/spec.ts";
import type { Verdict } from "#job/verdict.ts";
import { Ended, verdictOf } from "#job/verdict.ts";
import { deadline } from "#lib/deadline.ts";
import { uptimeMs } from "#lib/host-boot.ts";
import type { AttemptOrder, AttemptReport, Listener } from "./attempt.ts";
import { beginMachine, type Stand } from "./begin-machine.ts";
import { blame } from "./blame.ts";
import { Chronicle } from "./chronicle.ts";
import { collectArtifacts, saveEvidence } from "./evidence.ts";
import { freezeMachine } from "./freeze-machine.ts";
import type { Guest } from "./guest-port.ts";
import type { Journal } from "./journal.ts";
import { onceNoted } from "./once-noted.ts";
import type { House } from "./ports.ts";
import { regainMachine } from "./regain-machine.ts";
import { RESULT_NAMES } from "./results-folder.ts";
import { completeSteps, runSteps } from "./run-steps.ts";
import type { Work } from "./work.ts";

/**
 * What an attempt that is taken up after its deadline may still take to bring home what its guest did in time. The guest itself ends
 * steps at the deadline, and no step is begun after it.
 */
const LATE_MS = 30_000;

/**
 * One order, one machine, one verdict. Never throws but for a journal that is broken.
 *
 * The verdict is settled while the machine still exists, so a failed teardown can never replace it. Teardown is
 * last-in-first-out, hears no signal, and what it leaves behind is a leak for the next sweep. Whatever happens is in the journal
 * before it is acted on: an attempt whose process was killed at any moment is run again with the same order and journal, and goes on.
 */
export async function runJob(
  house: House,
  order: AttemptOrder,
  { listener, journal }: { listener: Listener; journal: Journal },
  cancel: AbortSignal,
): Promise<AttemptReport> {
  const chronicle = await Chronicle.open(listener, journal);
  const { timeoutSeconds } = order.spec;
  const endsAtMs = (chronicle.since("leased") ?? uptimeMs()) + timeoutSeconds * 1000;
  const leastMs = chronicle.phase === "leased" ? 0 : LATE_MS;
  const says = () =>
    new Ended(
      "timed-out",
      `the attempt took longer than its ${timeoutSeconds} s, in phase ${chronicle.phase}`,
    );
  using limit = deadline(Math.max(endsAtMs - uptimeMs(), leastMs), says);

  const scope = new AsyncDisposableStack();
  const work: Work = { house, order, listener, journal, chronicle, holdings: {}, scope };
  const verdict = await decide(work, endsAtMs, AbortSignal.any([cancel, limit.signal]));
  await journal.note({ entry: "verdict", verdict });
  await completeSteps(work, verdict);
  await saveEvidence(order, chronicle, work.holdings, verdict);
  chronicle.settled();
  await journal.settle(chronicle.report(verdict));
  await scope.disposeAsync().catch((error: unknown) => chronicle.leak("teardown", error));
  return chronicle.report(verdict);
}

/** Once there is a verdict no cancel and no deadline is noted any more: the journal's last word counts. */
async function decide(work: Work, endsAtMs: number, ending: AbortSignal): Promise<Verdict> {
  using signal = onceNoted(ending, work.journal);
  return await walk(work, endsAtMs, signal).catch(async (error: unknown) =>
    verdictOf(await blame(error, work.chronicle.phase, work.holdings.machine)),
  );
}

async function walk(work: Work, endsAtMs: number, signal: AbortSignal): Promise<Verdict> {
  const { order, listener, journal, chronicle, holdings, scope } = work;
  const { past } = journal;
  const known = endingOf(past.verdict);
  if (known !== undefined) {
    await regainForEvidence(work, signal);
    return known;
  }

  await mkdir(join(order.resultsFolder, RESULT_NAMES.steps), { recursive: true });
  const secondsLeft = Math.max(0, endsAtMs - uptimeMs()) / 1000;
  const stand =
    (await regainMachine(work, signal)) ?? (await beginMachine(work, secondsLeft, signal));
  const { machine } = stand;
  const alive = AbortSignal.any([signal, machine.ended]);

  await chronicle.reach("connecting");
  const guest = scope.use(await enterGuest(work, stand, alive));
  holdings.guest = guest;

  await chronicle.reach("running");
  if (past.steps.size === 0)
    await sendInputs(guest, { inputs: order.spec.inputs, listener }, alive);
  const verdict = await runSteps(work, { guest, machine, endsAtMs }, alive);

  await chronicle.reach("collecting");
  await collectArtifacts(order, chronicle, guest, alive).catch((error: unknown) => {
    // A step's failure is the job's answer, and what breaks afterwards does not take it back; a cancel does.
    if (verdict.kind === "passed" || cancelledIn(error)) throw error;
    chronicle.missing("artifacts", error);
  });
  if (verdict.kind === "passed" && order.onFrozen !== undefined)
    await freezeMachine(work, { stand, guest, onFrozen: order.onFrozen }, signal);
  return verdict;
}

/** An ending that was decided before the attempt was taken up again. That of the steps follows from them once more. */
function endingOf(verdict: Verdict | undefined): Verdict | undefined {
  return verdict?.kind === "passed" || verdict?.kind === "failed" ? undefined : verdict;
}

/** The verdict is known: machine and guest are wanted for their evidence, and to be taken down. */
async function regainForEvidence(work: Work, signal: AbortSignal): Promise<void> {
  try {
    const stand = await regainMachine(work, signal);
    if (stand === undefined || work.journal.past.guest === undefined) return;
    const alive = AbortSignal.any([signal, stand.machine.ended]);
    work.holdings.guest = work.scope.use(await enterGuest(work, stand, alive));
  } catch (error) {
    work.chronicle.missing("further evidence", error);
  }
}

/** Logs in, or takes up the guest that somebody was logged in to before. */
async function enterGuest(work: Work, stand: Stand, alive: AbortSignal): Promise<Guest> {
  const { house, listener, journal, chronicle } = work;
  const { machine, access, image } = stand;
  const place = journal.past.guest;
  // Also for an attempt that is to end: what its guest has made may still come home.
  if (place !== undefined)
    return await house.guests.resume({ machine, access, place }, machine.ended);
  const onRequirement = (requirement: string, now: "waiting" | "met", elapsedMs: number) => {
    if (now === "met") chronicle.mark(requirement, machine.startedAtMs);
    listener.requirement(requirement, now, elapsedMs);
  };
  const guest = await house.guests.connect(machine, access, image, onRequirement, alive);
  await journal.note({ entry: "guest", place: guest.place });
  return guest;
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

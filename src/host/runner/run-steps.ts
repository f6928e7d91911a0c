import { stat } from "node:fs/promises";
import type { Step } from "#job/spec.ts";
import { Ended, type StepOutcome, type StepResult, type Verdict } from "#job/verdict.ts";
import { untilAborted } from "#lib/deadline.ts";
import { uptimeMs } from "#lib/host-boot.ts";
import type { AttemptOrder } from "./attempt.ts";
import type { Guest, LogSize, StepEnd, StepOrder } from "./guest-port.ts";
import type { Machine } from "./ports.ts";
import { stepLogPath } from "./results-folder.ts";
import type { Work } from "./work.ts";

/** For the last line of a log whose machine is gone, which asks nothing of a guest. */
const LOG_END_MS = 1000;

/** What steps run in, and when the attempt is to be over, on the host's uptime. */
type Room = { readonly guest: Guest; readonly machine: Machine; readonly endsAtMs: number };

/**
 * Runs the job's steps in order and returns its verdict; the chronicle gets a line for each, those that did not run
 * included. The first step that does not pass decides; after it only `failure` and `always` steps run. On a throw
 * (cancel, deadline, lost guest) nothing more runs, `always` steps neither: there is no time or no guest for them. Steps that ended
 * before the attempt was taken up again are not run again, and one that had begun is followed from where its log is.
 */
export async function runSteps(work: Work, room: Room, signal: AbortSignal): Promise<Verdict> {
  const { steps, timeoutSeconds } = work.order.spec;
  const results = work.chronicle.draft.steps;
  let verdict: Verdict = { kind: "passed" };
  for (const [index, step] of steps.entries()) {
    const known = work.journal.past.steps.get(index + 1);
    let begunAtMs = known?.atMs;
    if (known?.result !== undefined) results.push(known.result);
    else if (isDue(step, verdict))
      begunAtMs = await runStep(work, { ...room, number: index + 1, step }, signal);
    const result = results[index] ?? unrun(step);
    if (result !== results[index]) results.push(result);
    if (verdict.kind !== "passed" || begunAtMs === undefined) continue;
    const leftSeconds = (room.endsAtMs - begunAtMs) / 1000;
    verdict = verdictOfStep(result, step, { timeoutSeconds, leftSeconds });
  }
  return verdict;
}

/** Gives each step that has no line yet one that says what is known of it, now that the verdict is. */
export async function completeSteps(
  { order, journal, chronicle }: Work,
  verdict: Verdict,
): Promise<void> {
  const results = chronicle.draft.steps;
  for (const [index, step] of order.spec.steps.entries()) {
    if (index < results.length) continue;
    const known = journal.past.steps.get(index + 1);
    if (known === undefined) results.push(unrun(step));
    else {
      // Times of an earlier boot say nothing.
      const atMs = journal.past.isOfEarlierBoot ? uptimeMs() : known.atMs;
      results.push(known.result ?? (await interrupted(order, index + 1, atMs, verdict)));
    }
  }
}

/** A step that began before the attempt was taken up again, and whose end nobody saw. */
async function interrupted(
  { spec, resultsFolder }: AttemptOrder,
  number: number,
  atMs: number,
  { kind }: Verdict,
): Promise<StepResult> {
  const name = spec.steps[number - 1]?.name ?? "";
  const outcome = kind === "cancelled" || kind === "timed-out" ? kind : "lost";
  const log = await stat(stepLogPath(resultsFolder, number, name)).catch(() => undefined);
  const durationMs = Math.max(0, uptimeMs() - atMs);
  return { name, outcome, durationMs, logBytes: log?.size ?? 0, cutBytes: 0 };
}

function isDue({ when }: Step, { kind }: Verdict): boolean {
  return when === "always" || (when === "success") === (kind === "passed");
}

/** Runs one step, or follows it, and gives it its line. Returns when it began. */
async function runStep(
  { order, listener, journal, chronicle }: Work,
  { guest, machine, endsAtMs, number, step }: Room & { number: number; step: Step },
  signal: AbortSignal,
): Promise<number> {
  const leftMs = endsAtMs - uptimeMs();
  const begun = journal.past.steps.get(number);
  if (begun === undefined && leftMs <= 0)
    throw new Ended("timed-out", `the attempt's time was over before step '${step.name}' began`);
  const atMs = begun?.atMs ?? uptimeMs();
  if (begun === undefined) await journal.note({ entry: "step-begins", number, atMs });
  listener.stepBegins(number, step.name);
  const logPath = stepLogPath(order.resultsFolder, number, step.name);
  const settle = (end: Omit<StepResult, "name" | "durationMs">) => {
    const result = { name: step.name, durationMs: Math.max(0, uptimeMs() - atMs), ...end };
    chronicle.mark(`step ${number} over`, machine.startedAtMs);
    chronicle.draft.steps.push(result);
    listener.stepEnds(result);
    return result;
  };
  let size: LogSize | undefined;
  const stepOrder: StepOrder = {
    number,
    step,
    env: order.spec.env,
    logPath,
    logLimitBytes: order.logLimitBytes,
    attemptSecondsLeft: Math.max(1, Math.ceil(leftMs / 1000)),
    isBegun: begun !== undefined,
    onLog: (piece) => listener.stepLog(number, piece),
    onLogEnd: (told) => {
      size = told;
    },
  };
  const work = guest.run(stepOrder, signal);
  let end: StepEnd;
  try {
    // A machine that is gone cannot answer any more: do not wait for the guest's own deadlines.
    end = await untilAborted(machine.ended, work);
  } catch (error) {
    // When the machine ended first, the guest has still to end its log.
    await untilAborted(AbortSignal.timeout(LOG_END_MS), work).catch(() => undefined);
    settle({ outcome: outcomeOf(error), ...(size ?? { logBytes: 0, cutBytes: 0 }) });
    throw error;
  }
  await journal.note({ entry: "step-ends", number, result: settle(end) });
  return atMs;
}

function outcomeOf(error: unknown): StepOutcome {
  return Ended.in(error)?.kind ?? "lost";
}

/** The attempt's limit, and what was left of it when the step began. */
type AttemptTime = { readonly timeoutSeconds: number; readonly leftSeconds: number };

function verdictOfStep(result: StepResult, step: Step, attempt: AttemptTime): Verdict {
  switch (result.outcome) {
    case "passed":
      return { kind: "passed" };
    case "timed-out":
      return { kind: "timed-out", why: whichLimit(step, attempt) };
    case "silent":
      return {
        kind: "timed-out",
        why: `step '${step.name}' printed nothing for ${step.silenceSeconds} s`,
      };
    default:
      return { kind: "failed", why: `step '${step.name}' ${howItFailed(result)}` };
  }
}

/** The guest ends a step at the attempt's deadline too. */
function whichLimit(step: Step, attempt: AttemptTime): string {
  const { name, timeoutSeconds } = step;
  return timeoutSeconds !== undefined && timeoutSeconds <= attempt.leftSeconds
    ? `step '${name}' took longer than its ${timeoutSeconds} s`
    : `the attempt took longer than its ${attempt.timeoutSeconds} s, in step '${name}'`;
}

function howItFailed({ exitCode, signal }: Pick<StepEnd, "exitCode" | "signal">): string {
  return signal === undefined ? `exited with status ${exitCode}` : `was ended by SIG${signal}`;
}

function unrun({ name }: Step): StepResult {
  return { name, outcome: "skipped", durationMs: 0, logBytes: 0, cutBytes: 0 };
}

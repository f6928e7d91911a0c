import type { Step } from "#job/spec.ts";
import { Ended, type StepOutcome, type StepResult, type Verdict } from "#job/verdict.ts";
import { untilAborted } from "#lib/deadline.ts";
import type { AttemptOrder, Listener } from "./attempt.ts";
import type { Chronicle } from "./chronicle.ts";
import type { Guest, LogSize, Machine, StepEnd } from "./ports.ts";
import { stepLogPath } from "./results-folder.ts";

/** For the last line of a log whose machine is gone, which asks nothing of a guest. */
const LOG_END_MS = 1000;

type Room = {
  readonly guest: Guest;
  readonly machine: Machine;
  readonly order: AttemptOrder;
  readonly listener: Listener;
  readonly chronicle: Chronicle;
};

/**
 * Runs the job's steps in order and returns its verdict; the chronicle gets a line for each, those that did not run
 * included. The first step that does not pass decides; after it only `failure` and `always` steps run. On a throw
 * (cancel, deadline, lost guest) nothing more runs, `always` steps neither: there is no time or no guest for them.
 */
export async function runSteps(room: Room, signal: AbortSignal): Promise<Verdict> {
  const { steps } = room.order.spec;
  const results = room.chronicle.draft.steps;
  let verdict: Verdict = { kind: "passed" };
  try {
    for (const [index, step] of steps.entries()) {
      if (!isDue(step, verdict)) {
        results.push(unrun(step));
        continue;
      }
      const result = await runStep(room, index + 1, step, signal);
      if (verdict.kind === "passed") verdict = verdictOfStep(result, step);
    }
    return verdict;
  } finally {
    for (const step of steps.slice(results.length)) results.push(unrun(step));
  }
}

function isDue({ when }: Step, { kind }: Verdict): boolean {
  return when === "always" || (when === "success") === (kind === "passed");
}

async function runStep(
  { guest, machine, order, listener, chronicle }: Room,
  number: number,
  step: Step,
  signal: AbortSignal,
): Promise<StepResult> {
  listener.stepBegins(number, step.name);
  const startedMs = performance.now();
  const logPath = stepLogPath(order.resultsFolder, number, step.name);
  const settle = (end: Omit<StepResult, "name" | "durationMs">) => {
    const result = {
      name: step.name,
      durationMs: Math.round(performance.now() - startedMs),
      ...end,
    };
    chronicle.mark(`step ${number} over`, machine.startedAtMs);
    chronicle.draft.steps.push(result);
    listener.stepEnds(result);
    return result;
  };
  let size: LogSize | undefined;
  const work = guest.run(
    {
      number,
      step,
      env: order.spec.env,
      logPath,
      logLimitBytes: order.logLimitBytes,
      onLog: (piece) => listener.stepLog(number, piece),
      onLogEnd: (told) => {
        size = told;
      },
    },
    signal,
  );
  try {
    // A machine that is gone cannot answer any more: do not wait for the guest's own deadlines.
    return settle(await untilAborted(machine.ended, work));
  } catch (error) {
    // When the machine ended first, the guest has still to end its log.
    await untilAborted(AbortSignal.timeout(LOG_END_MS), work).catch(() => undefined);
    settle({ outcome: outcomeOf(error), ...(size ?? { logBytes: 0, cutBytes: 0 }) });
    throw error;
  }
}

function outcomeOf(error: unknown): StepOutcome {
  return Ended.in(error)?.kind ?? "lost";
}

function verdictOfStep(result: StepResult, step: Step): Verdict {
  switch (result.outcome) {
    case "passed":
      return { kind: "passed" };
    case "timed-out":
      return {
        kind: "timed-out",
        why: `step '${step.name}' took longer than its ${step.timeoutSeconds} s`,
      };
    case "silent":
      return {
        kind: "timed-out",
        why: `step '${step.name}' printed nothing for ${step.silenceSeconds} s`,
      };
    default:
      return { kind: "failed", why: `step '${step.name}' ${howItFailed(result)}` };
  }
}

function howItFailed({ exitCode, signal }: Pick<StepEnd, "exitCode" | "signal">): string {
  return signal === undefined ? `exited with status ${exitCode}` : `was ended by SIG${signal}`;
}

function unrun({ name }: Step): StepResult {
  return { name, outcome: "skipped", durationMs: 0, logBytes: 0, cutBytes: 0 };
}

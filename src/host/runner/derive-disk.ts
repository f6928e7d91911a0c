import { randomBytes } from "node:crypto";
import { open } from "node:fs/promises";
import { Fault } from "#job/fault.ts";
import type { Phase } from "#job/phase.ts";
import type { Verdict } from "#job/verdict.ts";
import type { AttemptOrder, AttemptReport, Listener } from "./attempt.ts";
import { NO_JOURNAL } from "./journal.ts";
import type { DeriveOrder, House } from "./ports.ts";
import { stepLogPath } from "./results-folder.ts";
import { runJob } from "./run-job.ts";

const LOG_BYTES_MAX = 16 * 1024 * 1024;
const LOG_TAIL_BYTES = 4000;

/** What a person sees of a machine that is at work for an image; of the other phases nobody has to know. */
const STAGES: Partial<Record<Phase, string>> = {
  booting: "start a machine",
  connecting: "boot",
  collecting: "power off",
};

/** `Derive`, see there: a job of this host's own, in a machine with a place and a slot like any other's. Not taken up by anybody when this process dies. */
export async function deriveDisk(
  house: House,
  acceleration: AttemptOrder["acceleration"],
  order: DeriveOrder,
  signal: AbortSignal,
): Promise<void> {
  const attempt: AttemptOrder = {
    spec: order.spec,
    // No job's: those have 16 hexadecimal digits. The machine's name is made of it.
    job: `derive-${randomBytes(8).toString("hex")}`,
    attempt: 1,
    resultsFolder: order.folder,
    acceleration,
    keep: false,
    isResumable: false,
    libvirtPatienceSeconds: 0,
    logLimitBytes: LOG_BYTES_MAX,
    onFrozen: order.onFrozen,
  };
  const told = { listener: listenerTo(order), journal: NO_JOURNAL };
  const report = await runJob(house, attempt, told, signal);
  signal.throwIfAborted();
  if (report.verdict.kind === "passed") return;
  throw await faultOf(report.verdict, report, order);
}

async function faultOf(
  verdict: Exclude<Verdict, { kind: "passed" }>,
  { steps }: AttemptReport,
  { folder }: DeriveOrder,
): Promise<Fault> {
  const failed = steps.findIndex(({ outcome }) => outcome !== "passed" && outcome !== "skipped");
  const step = steps[failed];
  const log = step === undefined ? "" : await tailOf(stepLogPath(folder, failed + 1, step.name));
  if (verdict.kind !== "broken") {
    const message = [verdict.why, ...log.trimEnd().split("\n").slice(-1)].filter(Boolean);
    const more = step === undefined ? {} : { stage: step.name, evidence: { log } };
    return new Fault("image-build-failed", message.join(": "), more);
  }
  const { code, blame, message, stage = "machine", evidence } = verdict.fault;
  // There is no job here but the recipe.
  return new Fault(blame === "job" ? "image-build-failed" : code, message, {
    stage: step?.name ?? stage,
    evidence: log === "" ? evidence : { ...evidence, log },
  });
}

/** The end of a step's log as text that does nothing to a terminal; empty when there is none. */
async function tailOf(path: string): Promise<string> {
  try {
    await using log = await open(path);
    const { size } = await log.stat();
    const buffer = Buffer.alloc(Math.min(size, LOG_TAIL_BYTES));
    const { bytesRead } = await log.read(buffer, 0, buffer.length, size - buffer.length);
    return buffer.toString("utf8", 0, bytesRead).replaceAll(/[^\P{Cc}\n\t]/gu, "?");
  } catch {
    return "";
  }
}

function listenerTo({ onStage, onProgress }: DeriveOrder): Listener {
  const nothing = () => undefined;
  return {
    enter: (phase) => {
      const stage = STAGES[phase];
      if (stage !== undefined) onStage(stage);
    },
    takenUp: nothing,
    image: nothing,
    requirement: nothing,
    inputsSent: nothing,
    progress: onProgress,
    stepBegins: (_number, name) => onStage(name),
    stepLog: nothing,
    stepEnds: nothing,
    leak: (what, error) => onProgress(`left behind: ${what}: ${(error as Error).message}`),
  };
}

import { randomInt } from "node:crypto";
import { mkdir, readFile, rm } from "node:fs/promises";
import type { JobSpec } from "#job/spec.ts";
import type { AttemptOrder, AttemptReport, Listener } from "./attempt.ts";
import { NO_JOURNAL } from "./journal.ts";
import type { House } from "./ports.ts";
import { stepLogPath } from "./results-folder.ts";
import { runJob } from "./run-job.ts";

/** Boot included; under emulation the smallest image takes half a minute on a host that has other things to do. */
const LIMIT_SECONDS = 600;

const LOG_BYTES_MAX = 64 * 1024;

const STEP = "compute";

/** A small job of our own, to see whether a machine of an image works here. */
export type ProbeOrder = {
  /** As a job names it. */
  readonly image: string;
  /** For the machine's name; no job's, which have 16 hexadecimal digits. Two at once with one word are refused by libvirt. */
  readonly word: string;
  /** Absolute; what it leaves behind lies there until the next probe with this folder. */
  readonly resultsFolder: string;
  readonly acceleration: AttemptOrder["acceleration"];
};

/** How a probe went. */
export type ProbeOutcome =
  | { readonly kind: "passed"; readonly durationMs: number; readonly report: AttemptReport }
  | {
      readonly kind: "failed";
      readonly durationMs: number;
      readonly report: AttemptReport;
      readonly fault: { readonly code: string; readonly message: string };
    }
  /** It was told to stop; says nothing of the image. */
  | { readonly kind: "skipped"; readonly why: string };

/** Where no fault's code stands: the machine ran, and did not do what it should. */
const WRONG = "probe";

/**
 * Runs a job for nobody in a machine like any other's: it has to compute what cannot be guessed, so what comes home was really made
 * there and then. Never throws but for a results folder that cannot be made.
 */
export async function probe(
  house: House,
  { image, word, resultsFolder, acceleration }: ProbeOrder,
  listener: Listener,
  signal: AbortSignal,
): Promise<ProbeOutcome> {
  const startedMs = performance.now();
  await rm(resultsFolder, { recursive: true, force: true });
  await mkdir(resultsFolder, { recursive: true, mode: 0o700 });
  const [a, b] = [randomInt(1000, 30_000), randomInt(1000, 30_000)];
  const order: AttemptOrder = {
    spec: specOf(image, `echo testbed computes $((${a} * ${b}))`),
    job: `${word}-${process.pid}`,
    attempt: Date.now(),
    resultsFolder,
    acceleration,
    keep: false,
    isResumable: false,
    libvirtPatienceSeconds: 0,
    logLimitBytes: LOG_BYTES_MAX,
  };
  const report = await runJob(house, order, { listener, journal: NO_JOURNAL }, signal);
  const { verdict } = report;
  const durationMs = Math.round(performance.now() - startedMs);
  const failed = (code: string, message: string): ProbeOutcome => ({
    kind: "failed",
    durationMs,
    report,
    fault: { code, message },
  });
  if (verdict.kind === "passed") {
    const printed = await readFile(stepLogPath(resultsFolder, 1, STEP), "utf8");
    return printed === `testbed computes ${a * b}\n`
      ? { kind: "passed", durationMs, report }
      : failed(WRONG, "what it printed is not what it was to compute");
  }
  // Whoever asked gave up: what broke is not the image's or the host's.
  if (signal.aborted) return { kind: "skipped", why: (signal.reason as Error).message };
  if (verdict.kind === "broken") return failed(verdict.fault.code, verdict.fault.message);
  return failed(WRONG, verdict.why);
}

function specOf(image: string, run: string): JobSpec {
  return {
    image,
    cpus: 1,
    memoryMiB: undefined,
    diskMiB: undefined,
    network: "nat",
    timeoutSeconds: LIMIT_SECONDS,
    attempts: 1,
    inputs: [],
    env: {},
    steps: [
      { name: STEP, run, when: "success", timeoutSeconds: undefined, silenceSeconds: undefined },
    ],
    artifacts: [],
  };
}

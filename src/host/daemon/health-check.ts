import { randomInt } from "node:crypto";
import { mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import type { AttemptOrder, Listener } from "#host/runner/attempt.ts";
import { NO_JOURNAL } from "#host/runner/journal.ts";
import type { House } from "#host/runner/ports.ts";
import { stepLogPath } from "#host/runner/results-folder.ts";
import { runJob } from "#host/runner/run-job.ts";
import { STATE_NAMES } from "#host/runner/state-folder.ts";
import type { JobSpec } from "#job/spec.ts";
import type { Log } from "#lib/log.ts";

/** Boot included; under emulation the smallest image takes half a minute on a host that has other things to do. */
const LIMIT_SECONDS = 600;

const LOG_BYTES_MAX = 64 * 1024;

/** How a health check went. */
export type HealthOutcome =
  | { readonly kind: "passed"; readonly durationMs: number }
  | {
      readonly kind: "failed";
      readonly durationMs: number;
      readonly fault: { readonly code: string; readonly message: string };
    }
  /** Nothing was tried; says nothing of the host's health. */
  | { readonly kind: "skipped"; readonly why: string };

/** What a check is made with. */
export type HealthBench = {
  readonly house: House;
  readonly acceleration: AttemptOrder["acceleration"];
  /** Name of the smallest image. */
  readonly healthImage: string;
  readonly log: Log;
};

/**
 * A job of the daemon's own, for nobody, in a machine like any other's: it has to compute what cannot be guessed, so what comes home
 * was really made there and then. Its results lie in `health/` of the state folder until the next check.
 */
export async function checkHealth(bench: HealthBench, signal: AbortSignal): Promise<HealthOutcome> {
  const { house, acceleration, healthImage, log } = bench;
  const startedMs = performance.now();
  const results = join(house.state.path, STATE_NAMES.health);
  await rm(results, { recursive: true, force: true });
  await mkdir(results, { mode: 0o700 });
  const [a, b] = [randomInt(1000, 30_000), randomInt(1000, 30_000)];
  const order = {
    spec: specOf(healthImage, `echo testbed computes $((${a} * ${b}))`),
    // No job's: those have 16 hexadecimal digits. The name of the machine is made of both.
    job: `health-${process.pid}`,
    attempt: Date.now(),
    resultsFolder: results,
    acceleration,
    keep: false,
    isResumable: false,
    libvirtPatienceSeconds: 0,
    logLimitBytes: LOG_BYTES_MAX,
  };
  const told = { listener: listenerTo(log), journal: NO_JOURNAL };
  const { verdict } = await runJob(house, order, told, signal);
  const durationMs = Math.round(performance.now() - startedMs);
  const failed = (code: string, message: string): HealthOutcome => ({
    kind: "failed",
    durationMs,
    fault: { code, message },
  });
  if (verdict.kind === "passed") {
    const printed = await readFile(stepLogPath(results, 1, STEP), "utf8");
    return printed === `testbed computes ${a * b}\n`
      ? { kind: "passed", durationMs }
      : failed(UNHEALTHY, "what it printed is not what it was to compute");
  }
  // The daemon stops, or the chore took too long: what broke is not the host.
  if (signal.aborted) return { kind: "skipped", why: (signal.reason as Error).message };
  if (verdict.kind === "broken") return failed(verdict.fault.code, verdict.fault.message);
  return failed(UNHEALTHY, verdict.why);
}

/** Where no fault's code stands: the machine ran, and did not do what it should. */
const UNHEALTHY = "health-check";

const STEP = "compute";

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

function listenerTo(log: Log): Listener {
  const about = { of: "health check" };
  const nothing = () => undefined;
  return {
    enter: (phase) => log.debug("phase", { ...about, phase }),
    takenUp: nothing,
    image: nothing,
    requirement: nothing,
    inputsSent: nothing,
    progress: (line) => log.debug("progress", { ...about, line }),
    stepBegins: nothing,
    stepLog: nothing,
    stepEnds: nothing,
    leak: (what, error) => log.warn("left behind", { ...about, what, error }),
  };
}

import { join } from "node:path";
import type { AttemptOrder, Listener } from "#host/runner/attempt.ts";
import type { House } from "#host/runner/ports.ts";
import { type ProbeOutcome, probe } from "#host/runner/probe.ts";
import { STATE_NAMES } from "#host/runner/state-folder.ts";
import type { Log } from "#lib/log.ts";

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

/** A probe of the host itself, in its smallest image. Its results lie in `health/` of the state folder until the next check. */
export async function checkHealth(bench: HealthBench, signal: AbortSignal): Promise<HealthOutcome> {
  const { house, acceleration, healthImage, log } = bench;
  const resultsFolder = join(house.state.path, STATE_NAMES.health);
  const order = { image: healthImage, word: "health", resultsFolder, acceleration };
  return withoutReport(await probe(house, order, listenerTo(log), signal));
}

function withoutReport(outcome: ProbeOutcome): HealthOutcome {
  if (outcome.kind === "skipped") return outcome;
  const { report: _, ...rest } = outcome;
  return rest;
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

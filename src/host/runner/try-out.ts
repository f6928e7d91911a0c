import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { Phase } from "#job/phase.ts";
import type { Listener } from "./attempt.ts";
import type { House, Image, TrialOutcome } from "./ports.ts";
import { type ProbeOrder, probe } from "./probe.ts";
import { STATE_NAMES } from "./state-folder.ts";

/**
 * `TryOut`: see there. What a trial that failed leaves behind, its console above all, lies in `smoke/<digest>` of the state folder until
 * the image's next trial.
 */
export async function tryOut(
  house: House,
  acceleration: ProbeOrder["acceleration"],
  image: Image,
  onProgress: (line: string) => void,
  signal: AbortSignal,
): Promise<TrialOutcome> {
  const resultsFolder = join(house.state.path, STATE_NAMES.smoke, image.digest.slice(0, 16));
  const order = { image: `${image.name}@sha256:${image.digest}`, word: "smoke" };
  const listener = listenerTo(onProgress);
  const outcome = await probe(house, { ...order, resultsFolder, acceleration }, listener, signal);
  signal.throwIfAborted();
  if (outcome.kind === "skipped") return outcome;
  const { report } = outcome;
  if (outcome.kind === "passed") {
    await rm(resultsFolder, { recursive: true, force: true });
    return { kind: "passed", acceleration: report.acceleration ?? "tcg" };
  }
  const { code, message } = outcome.fault;
  const why = `${code}: ${message}`;
  const { verdict } = report;
  const isImages = verdict.kind !== "broken" || verdict.fault.blame !== "host";
  if (!isImages) return { kind: "skipped", why };
  const says = `${why} (see ${resultsFolder})`;
  return { kind: "failed", acceleration: report.acceleration ?? "tcg", why: says };
}

/** What is worth a line: the rest takes no time. */
const WORDS: Readonly<Partial<Record<Phase, string>>> = {
  booting: "starting a machine",
  running: "the machine is ready, running a job in it",
};

function listenerTo(onProgress: (line: string) => void): Listener {
  const nothing = () => undefined;
  return {
    enter: (phase) => {
      const words = WORDS[phase];
      if (words !== undefined) onProgress(`smoke boot: ${words}`);
    },
    takenUp: nothing,
    image: nothing,
    requirement: nothing,
    inputsSent: nothing,
    progress: onProgress,
    stepBegins: nothing,
    stepLog: nothing,
    stepEnds: nothing,
    leak: (what, error) => onProgress(`smoke boot: left behind: ${what}: ${String(error)}`),
  };
}

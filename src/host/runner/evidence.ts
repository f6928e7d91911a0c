import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Verdict } from "#job/verdict.ts";
import { deadline } from "#lib/deadline.ts";
import type { AttemptOrder } from "./attempt.ts";
import type { Chronicle } from "./chronicle.ts";
import type { Guest } from "./guest-port.ts";
import { RESULT_NAMES } from "./results-folder.ts";
import type { Holdings } from "./work.ts";

/** How long a guest may take to hand out artifacts after its attempt was ended from outside. */
const LATE_COLLECT_MS = { cancelled: 10_000, other: 60_000 } as const;
const SCREENSHOT_MS = 5_000;

/** Brings the job's artifacts home and notes what came and what was refused. What an earlier try left is replaced. */
export async function collectArtifacts(
  { spec, resultsFolder }: AttemptOrder,
  chronicle: Chronicle,
  guest: Guest,
  signal: AbortSignal,
): Promise<void> {
  if (spec.artifacts.length === 0) return;
  const folder = join(resultsFolder, RESULT_NAMES.artifacts);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const { artifacts, refused } = await guest.collect(spec.artifacts, folder, signal);
  chronicle.draft.artifacts = artifacts;
  chronicle.draft.refused = refused;
}

/**
 * Saves what can still be had of an attempt that is over, on every ending: artifacts while the guest answers, the
 * console, a picture of the screen of what did not boot. What cannot be had is noted and changes nothing.
 */
export async function saveEvidence(
  order: AttemptOrder,
  chronicle: Chronicle,
  { machine, guest }: Holdings,
  verdict: Verdict,
): Promise<void> {
  const attempts: [string, () => Promise<unknown>][] = [];
  const isAlive = machine !== undefined && !machine.ended.aborted;
  if (guest !== undefined && isAlive && chronicle.phase === "running") {
    const limitMs =
      verdict.kind === "cancelled" ? LATE_COLLECT_MS.cancelled : LATE_COLLECT_MS.other;
    attempts.push([
      "artifacts",
      async () => {
        using limit = deadline(
          limitMs,
          () => new Error(`the guest did not hand them out within ${limitMs / 1000} s`),
        );
        await collectArtifacts(order, chronicle, guest, limit.signal);
      },
    ]);
  }
  if (machine !== undefined) {
    attempts.push([
      "console",
      () => machine.console.save(join(order.resultsFolder, RESULT_NAMES.console)),
    ]);
  }
  if (isAlive && guest === undefined && verdict.kind !== "cancelled") {
    attempts.push([
      "screenshot",
      async () => {
        const picture = await machine.screenshot(AbortSignal.timeout(SCREENSHOT_MS));
        if (picture !== undefined)
          await writeFile(join(order.resultsFolder, RESULT_NAMES.screenshot), picture);
      },
    ]);
  }
  for (const [what, save] of attempts) {
    await save().catch((error: unknown) => chronicle.missing(what, error));
  }
}

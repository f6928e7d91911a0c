import { mkdir, rename } from "node:fs/promises";
import { join } from "node:path";
import type { Verdict } from "#job/verdict.ts";
import type { AttemptReport, JobOrder, Listener } from "./attempt.ts";
import { NO_JOURNAL } from "./journal.ts";
import type { House } from "./ports.ts";
import { RESULT_NAMES } from "./results-folder.ts";
import { runJob } from "./run-job.ts";

/** Somebody waits for the answer, and asks again when this process dies. */
const ALONE = { isResumable: false, libvirtPatienceSeconds: 0 } as const;

/** The reports of a job's attempts, in order. */
export type Reports = readonly [...AttemptReport[], AttemptReport];

/**
 * Tries a job, as often as it asks for, until an attempt ends in anything but a fault that another attempt might not
 * meet. This host is all there is here, so what had better be tried elsewhere is tried here again. The evidence of
 * attempts before the last is moved to `attempt-1/`, `attempt-2/` … in the results folder. Never throws.
 */
export async function runAttempts(
  house: House,
  order: JobOrder,
  listener: Listener,
  cancel: AbortSignal,
): Promise<Reports> {
  const { attempts } = order.spec;
  const before: AttemptReport[] = [];
  for (let attempt = 1; ; attempt += 1) {
    const report = await runJob(
      house,
      { ...order, ...ALONE, attempt },
      { listener, journal: NO_JOURNAL },
      cancel,
    );
    // A machine that was kept is there to be looked at: whoever asked for that is not served by another one.
    const isLast = attempt >= attempts || report.kept !== undefined || cancel.aborted;
    if (isLast || !mayHelpToTryAgain(report.verdict)) return [...before, report];
    before.push(report);
    try {
      await setAside(order.resultsFolder, attempt);
    } catch (error) {
      listener.progress(`no other attempt: ${(error as Error).message}`);
      return [...before.slice(0, -1), report];
    }
    listener.progress(
      `attempt ${attempt} of ${attempts} broke (${codeOf(report.verdict)}), trying again`,
    );
  }
}

function mayHelpToTryAgain(verdict: Verdict): boolean {
  return verdict.kind === "broken" && verdict.fault.retry !== "never";
}

function codeOf(verdict: Verdict): string {
  return verdict.kind === "broken" ? verdict.fault.code : verdict.kind;
}

/** Makes room for the next attempt's results. */
async function setAside(resultsFolder: string, attempt: number): Promise<void> {
  const aside = join(resultsFolder, `attempt-${attempt}`);
  await mkdir(aside);
  for (const name of Object.values(RESULT_NAMES)) {
    await rename(join(resultsFolder, name), join(aside, name)).catch(
      (error: NodeJS.ErrnoException) => {
        if (error.code !== "ENOENT") throw error;
      },
    );
  }
}

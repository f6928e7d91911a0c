import { stat } from "node:fs/promises";
import { join } from "node:path";
import { RESULT_NAMES } from "#host/runner/results-folder.ts";
import { FAULTS } from "#job/fault.ts";
import { printable } from "#lib/printable.ts";
import type { VerdictReport } from "#protocol/verdict.ts";
import { logsOf } from "./attempt-logs.ts";
import { type ArtifactFile, type AttemptFolder, Fenced, NotTaken, type Uplink } from "./ports.ts";
import { REFUSED_MAX, WHY_CHARACTERS_MAX } from "./verdict-report.ts";

/** What came of it. `aside`: the service takes nothing more of it, and the evidence stays here. */
export type Delivery =
  | { readonly kind: "delivered"; readonly job: "settled" | "queued" }
  | { readonly kind: "aside"; readonly why: string };

/**
 * Brings everything that an attempt left behind to the service: logs and artifacts first, for after the verdict nothing more is taken.
 * Takes as long as the service is away; twice is safe, also after a restart. What the service will not have is left out, and said
 * in the report. Throws the signal's reason.
 */
export async function deliver(
  uplink: Uplink,
  folder: AttemptFolder,
  report: VerdictReport,
  signal: AbortSignal,
): Promise<Delivery> {
  const { lease } = folder.grant;
  try {
    for (const log of logsOf(folder)) {
      await uplink.sendLog(lease, log, signal).then(undefined, unlessNotTaken);
    }
    const told = await sendArtifacts({ uplink, folder, report }, signal);
    const job = await uplink.report(lease, told, signal).catch(async (error: unknown) => {
      if (!(error instanceof NotTaken)) throw error;
      return await uplink.report(lease, bare(report, error), signal);
    });
    await folder.forget();
    return { kind: "delivered", job };
  } catch (error) {
    if (!(error instanceof Fenced) && !(error instanceof NotTaken)) throw error;
    await folder.setAside(error.message);
    return { kind: "aside", why: error.message };
  }
}

type Parcel = {
  readonly uplink: Uplink;
  readonly folder: AttemptFolder;
  readonly report: VerdictReport;
};

/** Sends each content once; returns the report without those that were not taken. */
async function sendArtifacts(
  { uplink, folder, report }: Parcel,
  signal: AbortSignal,
): Promise<VerdictReport> {
  const { screenshot, ...rest } = report;
  const lost = new Map<string, string>();
  for (const file of await filesOf(folder, report)) {
    await uplink.sendArtifact(folder.grant.lease, file, signal).catch((error: unknown) => {
      const isGone = (error as NodeJS.ErrnoException).code === "ENOENT";
      if (!isGone && !(error instanceof NotTaken)) throw error;
      lost.set(file.sha256, printable((error as Error).message, WHY_CHARACTERS_MAX));
    });
  }
  const missing = report.artifacts.filter(({ sha256 }) => lost.has(sha256));
  const refused = missing.map(({ path, sha256 }) => ({
    name: path,
    why: `not delivered: ${lost.get(sha256)}`,
  }));
  return {
    ...rest,
    ...(screenshot === undefined || lost.has(screenshot) ? {} : { screenshot }),
    artifacts: report.artifacts.filter(({ sha256 }) => !lost.has(sha256)),
    refused: [...report.refused, ...refused].slice(0, REFUSED_MAX),
  };
}

/** The files that a report names, each content once. */
async function filesOf(
  { results }: AttemptFolder,
  { artifacts, screenshot }: VerdictReport,
): Promise<readonly ArtifactFile[]> {
  const files = new Map<string, ArtifactFile>();
  for (const { path, bytes, sha256 } of artifacts)
    files.set(sha256, { path: join(results, RESULT_NAMES.artifacts, path), bytes, sha256 });
  if (screenshot !== undefined) {
    const path = join(results, RESULT_NAMES.screenshot);
    const bytes = await stat(path).then(
      ({ size }) => size,
      () => 0,
    );
    files.set(screenshot, { path, bytes, sha256: screenshot });
  }
  return [...files.values()];
}

/** What is said when the service refuses the report itself: a bug, of one side or the other, and never the end of the attempt's story. */
function bare({ durationMs, logs }: VerdictReport, error: Error): VerdictReport {
  const message = printable(`the service did not take the report: ${error.message}`, 2000);
  const verdict = { kind: "broken", fault: { ...BUG, message, evidence: {} } } as const;
  return { verdict, durationMs, logs, artifacts: [], phases: [], steps: [], refused: [] };
}

const BUG = { code: "bug", blame: FAULTS.bug.blame, retry: FAULTS.bug.retry } as const;

function unlessNotTaken(error: unknown): void {
  if (!(error instanceof NotTaken)) throw error;
}

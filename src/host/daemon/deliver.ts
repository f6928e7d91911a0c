import { stat } from "node:fs/promises";
import { join } from "node:path";
import { RESULT_NAMES } from "#host/runner/results-folder.ts";
import { FAULTS } from "#job/fault.ts";
import { printable } from "#lib/printable.ts";
import type { VerdictReport } from "#protocol/verdict.ts";
import { logsOf } from "./attempt-logs.ts";
import { fitReport } from "./fit-report.ts";
import { type ArtifactFile, type AttemptFolder, Fenced, NotTaken, type Uplink } from "./ports.ts";

/** Artifacts on their way at once: thousands of small ones are a matter of round trips. */
const AT_ONCE = 8;

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
    const job = await bring(uplink, folder, report, signal).catch(async (error: unknown) => {
      if (!(error instanceof Fenced)) throw error;
      // A daemon may have died between its report and the end of the folder, and the service knows repeats of a verdict.
      return await uplink.report(lease, fitReport(report), signal);
    });
    await folder.forget();
    return { kind: "delivered", job };
  } catch (error) {
    if (!(error instanceof Fenced) && !(error instanceof NotTaken)) throw error;
    await folder.setAside(error.message);
    return { kind: "aside", why: error.message };
  }
}

async function bring(
  uplink: Uplink,
  folder: AttemptFolder,
  report: VerdictReport,
  signal: AbortSignal,
): Promise<"settled" | "queued"> {
  const { lease } = folder.grant;
  const logs = await sendLogs(uplink, folder, signal);
  const sent = await sendArtifacts({ uplink, folder, report }, signal);
  const told = fitReport(withLogsThatAreThere(sent, logs));
  return await uplink.report(lease, told, signal).catch(async (error: unknown) => {
    if (!(error instanceof NotTaken)) throw error;
    return await uplink.report(lease, bare(report, error), signal);
  });
}

type Parcel = {
  readonly uplink: Uplink;
  readonly folder: AttemptFolder;
  readonly report: VerdictReport;
};

/** What came of a log: how much of it the service has, or why it does not take it to its end. */
type SentLog = { readonly haveBytes: number } | { readonly why: string };

async function sendLogs(
  uplink: Uplink,
  folder: AttemptFolder,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, SentLog>> {
  const sent = new Map<string, SentLog>();
  for (const log of logsOf(folder)) {
    await uplink.sendLog(folder.grant.lease, log, signal).then(
      (haveBytes) => sent.set(log.log, { haveBytes }),
      (error: unknown) => {
        if (!(error instanceof NotTaken)) throw error;
        sent.set(log.log, { why: error.message });
      },
    );
  }
  return sent;
}

/**
 * The report as it is true of what was sent: the service refuses one that names more than it has. A log may have become shorter here
 * since the verdict, when the disk was short; that of what was printed is longer.
 */
function withLogsThatAreThere(
  report: VerdictReport,
  sent: ReadonlyMap<string, SentLog>,
): VerdictReport {
  const refused: VerdictReport["refused"] = [];
  const logs = report.logs.flatMap(({ log, bytes }) => {
    const at = sent.get(log) ?? { haveBytes: bytes };
    const refuse = (why: string) => refused.push({ name: `log ${log}`, why });
    if ("why" in at) {
      refuse(`not delivered to its end: ${at.why}`);
      return [];
    }
    if (at.haveBytes < bytes)
      refuse(
        `not delivered to its end: ${at.haveBytes} of ${bytes} bytes, its host's disk was short`,
      );
    return [{ log, bytes: at.haveBytes }];
  });
  return { ...report, logs, refused: [...refused, ...report.refused] };
}

/** Sends each content once; returns the report without those that were not taken. */
async function sendArtifacts(
  { uplink, folder, report }: Parcel,
  signal: AbortSignal,
): Promise<VerdictReport> {
  const { screenshot, ...rest } = report;
  const lost = new Map<string, string>();
  const files = (await filesOf(folder, report)).values();
  const carry = async () => {
    for (const file of files) {
      await uplink.sendArtifact(folder.grant.lease, file, signal).catch((error: unknown) => {
        if (!(error instanceof NotTaken)) throw error;
        lost.set(file.sha256, error.message);
      });
    }
  };
  const carriers = await Promise.allSettled(Array.from({ length: AT_ONCE }, carry));
  const failed = carriers.find((one) => one.status === "rejected");
  if (failed !== undefined) throw failed.reason;
  const missing = report.artifacts.filter(({ sha256 }) => lost.has(sha256));
  const refused = missing.map(({ path, sha256 }) => ({
    name: path,
    why: `not delivered: ${lost.get(sha256)}`,
  }));
  return {
    ...rest,
    ...(screenshot === undefined || lost.has(screenshot) ? {} : { screenshot }),
    artifacts: report.artifacts.filter(({ sha256 }) => !lost.has(sha256)),
    refused: [...refused, ...report.refused],
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
function bare({ durationMs }: VerdictReport, error: Error): VerdictReport {
  const message = printable(`the service did not take the report: ${error.message}`, 2000);
  const verdict = { kind: "broken", fault: { ...BUG, message, evidence: {} } } as const;
  return { verdict, durationMs, logs: [], artifacts: [], phases: [], steps: [], refused: [] };
}

const BUG = { code: "bug", blame: FAULTS.bug.blame, retry: FAULTS.bug.retry } as const;

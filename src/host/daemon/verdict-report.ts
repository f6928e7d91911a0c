import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import type { AttemptReport } from "#host/runner/attempt.ts";
import { RESULT_NAMES } from "#host/runner/results-folder.ts";
import type { Fault } from "#job/fault.ts";
import { fitVerdict } from "#job/fit-verdict.ts";
import { reportOf } from "#job/verdict.ts";
import type { VerdictReport } from "#protocol/verdict.ts";
import { logSizes, logsOf } from "./attempt-logs.ts";
import { fitReport } from "./fit-report.ts";
import type { AttemptFolder } from "./ports.ts";

/** What the service is told of an attempt that is over. All that a guest had a hand in is cut to what the wire takes. */
export async function verdictReport(
  folder: AttemptFolder,
  report: AttemptReport,
  durationMs: number,
): Promise<VerdictReport> {
  const { artifacts, refused, phases, steps, image, acceleration } = report;
  const screenshot = await digestOf(join(folder.results, RESULT_NAMES.screenshot));
  return fitReport({
    verdict: fitVerdict(report.verdict),
    // A wall clock that was set back makes it less than nothing, and the wire takes no such report.
    durationMs: Math.max(0, Math.round(durationMs)),
    phases: phases.map(({ phase, durationMs: took }) => ({ phase, durationMs: took })),
    steps: steps.map((step) => ({ ...step })),
    artifacts: artifacts.map((artifact) => ({ ...artifact })),
    refused: refused.map((refusal) => ({ ...refusal })),
    logs: [...(await logSizes(logsOf(folder)))],
    ...(screenshot === undefined ? {} : { screenshot }),
    ...(image === undefined ? {} : { image }),
    ...(acceleration === undefined ? {} : { acceleration }),
  });
}

/** The report of an attempt that never came to a machine, or whose daemon is gone: a fault, and what there is of logs. */
export async function faultReport(
  folder: AttemptFolder,
  fault: Fault,
  durationMs: number,
): Promise<VerdictReport> {
  return {
    verdict: fitVerdict({ kind: "broken", fault: reportOf(fault) }),
    durationMs: Math.max(0, Math.round(durationMs)),
    phases: [],
    steps: [],
    artifacts: [],
    refused: [],
    logs: [...(await logSizes(logsOf(folder)))],
  };
}

async function digestOf(path: string): Promise<string | undefined> {
  const hash = createHash("sha256");
  return await pipeline(createReadStream(path), hash).then(
    () => hash.digest("hex"),
    () => undefined,
  );
}

import { arch, cpus, hostname, release, totalmem } from "node:os";
import type { AttemptReport } from "#host/runner/attempt.ts";
import type { Reports } from "#host/runner/run-attempts.ts";
import { fitRefusal, fitVerdict } from "#job/fit-verdict.ts";
import type { VerdictDocument } from "./verdict-schema.ts";

/** What the reports of the attempts do not know about the run. */
export type RunFacts = {
  readonly job: string;
  /** The job file, as given. */
  readonly file: string;
  readonly startedAt: Date;
  readonly durationMs: number;
  readonly resultsFolder: string;
  /** Version of testbed. */
  readonly version: string;
};

/** Everything there is to say about a run, its attempts in order, as `verdict.json` and `--json` have it. */
export function verdictDocument(reports: Reports, run: RunFacts): VerdictDocument {
  const report = reports.at(-1) as AttemptReport;
  const { verdict, phases, steps, artifacts, refused, image, acceleration, machine, kept } = report;
  return {
    verdict: fitVerdict(verdict),
    job: { id: run.job, file: run.file },
    attempts: reports.map((attempt) => ({
      verdict: fitVerdict(attempt.verdict),
      durationMs: attempt.phases.reduce((sum, { durationMs }) => sum + durationMs, 0),
      ...(attempt.machine === undefined ? {} : { machine: attempt.machine.name }),
    })),
    startedAt: run.startedAt.toISOString(),
    durationMs: Math.round(run.durationMs),
    phases: [...phases],
    steps: [...steps],
    artifacts: [...artifacts],
    refused: refused.map(fitRefusal),
    ...(image === undefined ? {} : { image }),
    ...(acceleration === undefined ? {} : { acceleration }),
    ...(machine === undefined ? {} : { machine }),
    ...(kept === undefined
      ? {}
      : {
          kept: {
            name: kept.name,
            ...(kept.address === undefined ? {} : { address: kept.address }),
          },
        }),
    leaks: [...report.leaks],
    marksMs: report.marksMs,
    host: {
      name: hostname(),
      kernel: release(),
      architecture: arch(),
      cpus: cpus().length,
      memoryMiB: Math.floor(totalmem() / 2 ** 20),
      testbed: run.version,
      node: process.versions.node,
    },
    results: run.resultsFolder,
  };
}

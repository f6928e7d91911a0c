import { randomBytes } from "node:crypto";
import { resolve } from "node:path";
import { EXIT_CODES, exitCodeOf } from "#cli/exit-code.ts";
import { printAnswer } from "#cli/print-answer.ts";
import { cancelOnSignals } from "#cli/signals.ts";
import type { Config } from "#config/config.ts";
import { Narrator } from "#host/narration/narrator.ts";
import type { Screen } from "#host/narration/screen.ts";
import type { JobOrder, Listener } from "#host/runner/attempt.ts";
import type { Reports } from "#host/runner/run-attempts.ts";
import type { StateFolder } from "#host/runner/state-folder.ts";
import { readJobFile } from "#job/job-file.ts";
import type { Override } from "#job/job-file-overrides.ts";
import { machineName } from "#job/machine-name.ts";
import type { JobSpec } from "#job/spec.ts";
import { printable } from "#lib/printable.ts";
import { inputNotes } from "./input-notes.ts";
import { openScreen } from "./open-screen.ts";
import {
  defaultResultsFolder,
  makeResultsFolder,
  removeResultsFolder,
  writeVerdict,
} from "./results.ts";
import { summarize } from "./summary.ts";
import { verdictDocument } from "./verdict-document.ts";
import type { VerdictDocument } from "./verdict-schema.ts";

/** What somebody asks for who types `testbed run`. */
export type RunOrder = {
  /** The job file, as given. */
  readonly file: string;
  readonly overrides: readonly Override[];
  /** Undefined: a new folder below `results`. */
  readonly results: string | undefined;
  readonly keep: boolean;
  /** Undefined: as the environment says. */
  readonly acceleration: Config["acceleration"] | undefined;
  /** The verdict document goes to standard output. */
  readonly json: boolean;
  readonly version: string;
};

/** The host that runs jobs, opened; tests give one of their own. */
export type Host = AsyncDisposable & {
  readonly state: StateFolder;
  /** Runs the job's attempts and reports on each. Never throws. */
  runAttempts(order: JobOrder, listener: Listener, signal: AbortSignal): Promise<Reports>;
};

/**
 * One `testbed run`: job file, results folder, host, attempts, verdict. Returns the exit status. Throws what was wrong
 * before anything was started.
 */
export async function runJobFile(
  order: RunOrder,
  config: Config,
  openHost: (config: Config) => Promise<Host>,
): Promise<number> {
  const { screen, output } = openScreen(config, order.json);
  // From here on, since a job file and a host take their time, and a signal meanwhile is a cancel like any other.
  const job = randomBytes(8).toString("hex");
  let installation: string | undefined;
  let narrator: Narrator | undefined;
  using cancel = cancelOnSignals(
    () => screen.line("cancelling and taking the machine down; once more leaves at once", "note"),
    () => {
      for (const line of whatMayBeLeft(installation, job, narrator?.attempt))
        screen.line(line, "bad");
      void screen.close().then(() => process.exit(EXIT_CODES.cancelled));
    },
  );
  try {
    const spec = await readJobFile(order.file, order.overrides);
    for (const note of await inputNotes(spec.inputs, cancel.signal)) screen.line(note, "note");
    cancel.signal.throwIfAborted();
    await using host = await openHost(config);
    installation = host.state.installation;
    using told = new Narrator(screen, output, spec.steps.length);
    narrator = told;
    return await runOnHost({
      order,
      config,
      spec,
      job,
      host,
      screen,
      narrator,
      signal: cancel.signal,
    });
  } catch (error) {
    await screen.close();
    throw error;
  }
}

/** A second Ctrl-C does not wait to see what became of the machine. */
function whatMayBeLeft(
  installation: string | undefined,
  job: string,
  attempt = 0,
): readonly string[] {
  if (installation === undefined || attempt === 0) return ["left at once"];
  const name = machineName({ installation, job, attempt });
  return [
    `left at once: the machine ${name} may still be there`,
    `the next run sweeps it, or: testbed destroy ${name} ('testbed machines' lists what there is)`,
  ];
}

type Run = {
  readonly order: RunOrder;
  readonly config: Config;
  readonly spec: JobSpec;
  readonly job: string;
  readonly host: Host;
  readonly screen: Screen;
  readonly narrator: Narrator;
  readonly signal: AbortSignal;
};

async function runOnHost(run: Run): Promise<number> {
  const { order, config, spec, job, host, screen, narrator, signal } = run;
  const startedAt = new Date();
  const startedMs = performance.now();
  const resultsFolder =
    order.results === undefined
      ? defaultResultsFolder(order.file, job, startedAt)
      : resolve(order.results);
  await makeResultsFolder(resultsFolder);
  const reports = await host.runAttempts(
    {
      spec,
      job,
      resultsFolder,
      acceleration: order.acceleration ?? config.acceleration,
      keep: order.keep,
      logLimitBytes: config.logLimitBytes,
    },
    narrator,
    signal,
  );
  narrator[Symbol.dispose]();
  const document = verdictDocument(reports, {
    job,
    file: order.file,
    startedAt,
    durationMs: performance.now() - startedMs,
    resultsFolder,
    version: order.version,
  });
  const exitCode = await deliver(document, screen);
  const isAllSaid = await screen.close();
  if (order.json) await printAnswer(`${JSON.stringify(document, null, 2)}\n`);
  // A reader that stands still gets what it has taken so far; it must not hold the process for good.
  if (!isAllSaid) process.exit(exitCode);
  return exitCode;
}

/** Writes and tells the verdict; the exit status is that of a host that broke when the verdict cannot be written. */
async function deliver(document: VerdictDocument, screen: Screen): Promise<number> {
  const exitCode = exitCodeOf(document.verdict);
  if (exitCode === EXIT_CODES.wrong) {
    // Nothing was started, so there are no results.
    await removeResultsFolder(document.results);
    screen.line(printable(document.verdict.fault?.message ?? "", 1000), "bad");
    return exitCode;
  }
  try {
    await writeVerdict(document);
  } catch (error) {
    summarize(screen, document);
    screen.line(`the verdict could not be written: ${(error as Error).message}`, "bad");
    return EXIT_CODES.broken;
  }
  summarize(screen, document);
  return exitCode;
}

import { EXIT_CODES } from "#cli/exit-code.ts";
import { printAnswer } from "#cli/print-answer.ts";
import { inputNotes } from "#cli/run/input-notes.ts";
import { openScreen } from "#cli/run/open-screen.ts";
import { cancelOnSignals } from "#cli/signals.ts";
import type { Config } from "#config/config.ts";
import type { AccessWishes } from "#config/contexts.ts";
import type { Screen } from "#host/narration/screen.ts";
import { readJobFileKeys } from "#job/job-file.ts";
import type { Override } from "#job/job-file-overrides.ts";
import { Ended } from "#job/verdict.ts";
import { NoAnswer } from "#lib/http-client.ts";
import type { TerminalOutput } from "#lib/terminal-output.ts";
import type { SubmitRequest } from "#protocol/submit.ts";
import { digestInputs } from "./digest-inputs.ts";
import type { Follower } from "./follow.ts";
import { exitCodeOfJob, summarizeJob } from "./job-summary.ts";
import { JobTeller } from "./job-teller.ts";
import { Patience } from "./patience.ts";
import { type Service, withService } from "./service.ts";
import { submitJob } from "./submit-job.ts";
import { UploadProgress } from "./upload-progress.ts";
import { watchJob } from "./watch-job.ts";

/** What somebody asks for who types `testbed submit`. */
export type SubmitFileOrder = {
  readonly file: string;
  readonly overrides: readonly Override[];
  readonly more: Omit<SubmitRequest, "job">;
  readonly key: string;
  readonly wishes: AccessWishes;
  readonly watch: boolean;
  /** A signal cancels the job instead of leaving it to itself. */
  readonly cancelOnInterrupt: boolean;
  readonly json: boolean;
};

/** What is known of a submission so far, for whoever interrupts it. */
type Progress = { stage: "preparing" | "submitting" | "queued"; job: string };

type Run = {
  readonly order: SubmitFileOrder;
  readonly screen: Screen;
  readonly output: TerminalOutput;
  readonly progress: Progress;
  readonly teller: JobTeller;
  readonly signal: AbortSignal;
};

/**
 * One `testbed submit`: job file, inputs, upload, submit, and with `watch` the job to its end. Returns the exit status.
 * Throws what went wrong before, or `Ended` when a signal ended it.
 */
export async function submitFile(order: SubmitFileOrder, config: Config): Promise<number> {
  const { screen, output } = openScreen(config, order.json || !order.watch);
  const progress: Progress = { stage: "preparing", job: "" };
  const stop = new AbortController();
  let cancel: (() => Promise<void>) | undefined;
  using signals = cancelOnSignals(
    () => {
      if (cancel === undefined) stop.abort(signals.signal.reason);
      else void cancel();
    },
    () => {
      for (const line of leftWords(progress, order).split("\n")) screen.line(line, "note");
      void screen.close().then(() => process.exit(EXIT_CODES.cancelled));
    },
  );
  using teller = new JobTeller(screen);
  const run = { order, screen, output, progress, teller, signal: stop.signal };
  try {
    const { exitCode, answer } = await withService(order.wishes, async (service) => {
      const follower = {
        client: service.client,
        patience: new Patience(teller, stop.signal),
        signal: stop.signal,
      };
      await submitTo(run, follower);
      if (order.cancelOnInterrupt) cancel = () => cancelJob(run, service);
      return order.watch ? await watchToEnd(run, follower) : finish(run);
    });
    // The status has left the terminal before an answer is written there.
    const isAllSaid = await screen.close();
    if (answer !== undefined) await printAnswer(answer);
    if (!isAllSaid) process.exit(exitCode);
    return exitCode;
  } catch (error) {
    teller[Symbol.dispose]();
    await screen.close();
    throw withProgress(error, progress, order);
  }
}

async function submitTo(run: Run, follower: Follower): Promise<void> {
  const { order, screen, progress, teller, signal } = run;
  const { file, inputs } = await readJobFileKeys(order.file, order.overrides);
  for (const note of await inputNotes(inputs, signal)) screen.line(note, "note");
  const upload = new UploadProgress(screen, teller);
  const digested = await digestInputs(inputs, (bytes) => upload.read(bytes), signal);
  progress.job = await submitJob(
    follower,
    { file, inputs: digested, more: order.more, key: order.key },
    {
      onUpload: (input, haveBytes) => upload.uploaded(input, haveBytes),
      onSubmit: () => {
        progress.stage = "submitting";
        upload.end(digested);
        teller.do("submitting");
      },
    },
  );
  progress.stage = "queued";
  screen.line(`job ${progress.job}`);
}

/** How it ended, and what goes to standard output. */
type Outcome = { readonly exitCode: number; readonly answer?: string };

function finish({ order, screen, progress, teller }: Run): Outcome {
  const { job } = progress;
  teller[Symbol.dispose]();
  screen.line(`follow it: testbed logs -f ${job}`);
  const answer = order.json ? `${JSON.stringify({ id: job }, null, 2)}\n` : `${job}\n`;
  return { exitCode: EXIT_CODES.passed, answer };
}

async function watchToEnd(run: Run, follower: Follower): Promise<Outcome> {
  const { order, screen, output, progress, teller } = run;
  const detail = await watchJob({ follower, job: progress.job, screen, output, teller });
  teller[Symbol.dispose]();
  const { client, patience, signal } = follower;
  const path = { job: detail.id };
  const listed =
    detail.attempts === 0
      ? undefined
      : await patience.until(() => client.json("listArtifacts", { path, signal }));
  summarizeJob(screen, detail, listed?.artifacts ?? []);
  const exitCode = exitCodeOfJob(detail);
  return order.json ? { exitCode, answer: `${JSON.stringify(detail, null, 2)}\n` } : { exitCode };
}

/** Asks the service to cancel; the watch goes on and sees the end. */
async function cancelJob({ screen, progress, signal }: Run, { client }: Service): Promise<void> {
  screen.line("cancelling the job; once more leaves it to itself", "note");
  try {
    const json = { why: "interrupted where it was submitted" };
    await client.json("cancelJob", { path: { job: progress.job }, json, signal });
  } catch (error) {
    screen.line(`not cancelled: ${(error as Error).message}`, "bad");
  }
}

function leftWords({ stage, job }: Progress, { key }: SubmitFileOrder): string {
  if (stage === "queued")
    return `job ${job} goes on\nfollow it: testbed logs -f ${job}\ncancel it: testbed cancel ${job}`;
  return stage === "preparing"
    ? "nothing was submitted"
    : `the job may be queued or not: the same command with --key ${key} submits it once in any case`;
}

/** Says what became of the job when the way to it was lost. */
function withProgress(error: unknown, progress: Progress, order: SubmitFileOrder): unknown {
  const ended = Ended.in(error);
  const words = leftWords(progress, order);
  if (ended !== undefined) return new Ended(ended.kind, `${ended.message}; ${words}`);
  const isLost = error instanceof Error && error.cause instanceof NoAnswer;
  if (isLost && progress.stage !== "preparing") error.message += `; ${words}`;
  return error;
}

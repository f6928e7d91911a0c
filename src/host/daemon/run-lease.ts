import { join } from "node:path";
import { Narrator } from "#host/narration/narrator.ts";
import { PlainScreen } from "#host/narration/plain-screen.ts";
import type { Listener } from "#host/runner/attempt.ts";
import { nothingYet } from "#host/runner/chronicle.ts";
import type { House } from "#host/runner/ports.ts";
import { runJob } from "#host/runner/run-job.ts";
import { Fault } from "#job/fault.ts";
import type { JobSpec } from "#job/spec.ts";
import { verdictOf } from "#job/verdict.ts";
import { deadline } from "#lib/deadline.ts";
import { bytesInWords, durationInWords } from "#lib/words.ts";
import type { VerdictReport } from "#protocol/verdict.ts";
import { specOfWireJob } from "#protocol/wire-job.ts";
import { wrongWithJob } from "#protocol/wrong-with-job.ts";
import { logsOf } from "./attempt-logs.ts";
import type { HeldLease } from "./hold-lease.ts";
import { LogCourier } from "./log-courier.ts";
import { OutputFile } from "./output-file.ts";
import { type AttemptFolder, NotTaken, type Uplink } from "./ports.ts";
import { verdictReport } from "./verdict-report.ts";

/** What attempts run with on this host. */
export type Workbench = {
  readonly house: House;
  readonly uplink: Uplink;
  readonly acceleration: "auto" | "kvm" | "tcg";
  readonly logLimitBytes: number;
};

/**
 * One leased attempt, from its inputs to its report; the logs go to the service meanwhile. The lease's end, whoever's doing, ends the
 * attempt. Never throws but for a disk that does not take the report.
 */
export async function runLease(
  bench: Workbench,
  folder: AttemptFolder,
  lease: HeldLease,
): Promise<VerdictReport> {
  const startedMs = performance.now();
  const { grant } = folder;
  await using courier = new LogCourier(bench.uplink, grant.lease, logsOf(folder));
  const output = new OutputFile(folder.output, courier.ring);
  const screen = new PlainScreen({ output, guestFd: 1, hasColor: false });
  const narrator = new Narrator(screen, output, grant.job.steps.length);
  const { timeoutSeconds } = grant;
  using limit = deadline(timeoutSeconds * 1000, () => {
    const says = `the job's time, ${timeoutSeconds} s, was over before the service had delivered its inputs`;
    return new Fault("input-undelivered", says, { stage: "inputs" });
  });
  const signal = AbortSignal.any([lease.over, limit.signal]);
  const report = await prepare(bench, folder, screen, signal).then(
    async () => {
      const leftSeconds = timeoutSeconds - (performance.now() - startedMs) / 1000;
      const order = orderOf(bench, folder, leftSeconds);
      return await runJob(bench.house, order, listenerOf(narrator, lease), lease.over);
    },
    (error: unknown) => ({ ...nothingYet(), phases: [], verdict: verdictOf(error) }),
  );
  narrator[Symbol.dispose]();
  const durationMs = performance.now() - startedMs;
  screen.line(`${report.verdict.kind.replace("-", " ")} after ${durationInWords(durationMs)}`);
  await screen.close();
  return await verdictReport(folder, report, durationMs);
}

const DISK_FULL: ReadonlySet<string> = new Set(["ENOSPC", "EDQUOT"]);

/** Looks at the job, which came from outside, and brings its inputs here. */
async function prepare(
  { uplink }: Workbench,
  { grant, inputs: folder }: AttemptFolder,
  screen: PlainScreen,
  signal: AbortSignal,
): Promise<void> {
  const wrong = wrongWithJob(grant.job);
  if (wrong !== undefined) throw new Fault("job-not-understood", wrong);
  const { inputs = [] } = grant.job;
  if (inputs.length === 0) return;
  const bytes = inputs.reduce((sum, input) => sum + input.bytes, 0);
  screen.line(`fetching ${inputs.length} inputs from the service, ${bytesInWords(bytes)}`);
  for (const [at, input] of inputs.entries()) {
    await uplink
      .fetchInput(grant.lease, input, join(folder, String(at)), signal)
      .catch((cause: unknown) => {
        const more = { cause, stage: `input ${input.to}` };
        const { code, message } = cause as NodeJS.ErrnoException;
        if (cause instanceof NotTaken)
          throw new Fault("input-unreadable", `the service does not give it: ${message}`, more);
        if (code !== undefined && DISK_FULL.has(code))
          throw new Fault("host-disk-full", `this host's disk is full: ${message}`, more);
        throw cause;
      });
  }
}

function orderOf(bench: Workbench, folder: AttemptFolder, leftSeconds: number) {
  const { grant, inputs, results } = folder;
  const { job, imageDigest } = grant;
  const paths = new Map((job.inputs ?? []).map((input, at) => [input, join(inputs, String(at))]));
  const spec = specOfWireJob(job, (input) => paths.get(input) ?? inputs);
  return {
    spec: {
      ...spec,
      image: imageDigest === undefined ? spec.image : pinned(spec, imageDigest),
      timeoutSeconds: Math.max(1, Math.ceil(leftSeconds)),
    },
    job: grant.jobId,
    attempt: grant.attempt,
    resultsFolder: results,
    acceleration: bench.acceleration,
    keep: false,
    logLimitBytes: bench.logLimitBytes,
  };
}

/** The very image that the job's first attempt ran from. */
function pinned({ image }: JobSpec, digest: string): string {
  return `${image.split(/[:@]/)[0]}@sha256:${digest}`;
}

/** Told to the output log, and of phases and the image to the service. */
function listenerOf(narrator: Narrator, lease: HeldLease): Listener {
  return {
    enter(phase) {
      narrator.enter(phase);
      lease.enter(phase);
    },
    image(image) {
      narrator.image(image);
      lease.runsFrom(image);
    },
    requirement: (name, state) => narrator.requirement(name, state),
    inputsSent: (bytes, isAll) => narrator.inputsSent(bytes, isAll),
    progress: (line) => narrator.progress(line),
    stepBegins: (number, name) => narrator.stepBegins(number, name),
    stepLog: (number, piece) => narrator.stepLog(number, piece),
    stepEnds: (result) => narrator.stepEnds(result),
    leak: (what, error) => narrator.leak(what, error),
  };
}

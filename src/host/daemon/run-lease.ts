import { join } from "node:path";
import { Narrator } from "#host/narration/narrator.ts";
import { PlainScreen } from "#host/narration/plain-screen.ts";
import type { AttemptOrder, Listener } from "#host/runner/attempt.ts";
import { nothingYet } from "#host/runner/chronicle.ts";
import type { Journal } from "#host/runner/journal.ts";
import type { House } from "#host/runner/ports.ts";
import { runJob } from "#host/runner/run-job.ts";
import { removeMachine } from "#host/runner/sweep.ts";
import { Fault } from "#job/fault.ts";
import { machineName } from "#job/machine-name.ts";
import type { JobSpec } from "#job/spec.ts";
import { verdictOf } from "#job/verdict.ts";
import { deadline } from "#lib/deadline.ts";
import { uptimeMs } from "#lib/host-boot.ts";
import { bytesInWords, durationInWords } from "#lib/words.ts";
import type { VerdictReport } from "#protocol/verdict.ts";
import { specOfWireJob } from "#protocol/wire-job.ts";
import { wrongWithJob } from "#protocol/wrong-with-job.ts";
import { logsOf } from "./attempt-logs.ts";
import type { HeldLease } from "./hold-lease.ts";
import { LogCourier } from "./log-courier.ts";
import { OutputFile } from "./output-file.ts";
import { type AttemptFolder, type AttemptJournal, NotTaken, type Uplink } from "./ports.ts";
import { faultReport, verdictReport } from "./verdict-report.ts";

/** What attempts run with on this host. */
export type Workbench = {
  readonly house: House;
  readonly uplink: Uplink;
  readonly acceleration: "auto" | "kvm" | "tcg";
  readonly logLimitBytes: number;
};

const REMOVE_MS = 30_000;

/** A restart of libvirtd takes seconds; an admin who repairs it, minutes. */
const LIBVIRT_PATIENCE_SECONDS = 300;

/**
 * One leased attempt, from its inputs to its report, or from where an earlier daemon left it; the logs go to the service meanwhile. The
 * lease's end, whoever's doing, ends the attempt. When `stop` aborts it stands still and this never returns: the next daemon goes on.
 * The report is in the attempt's folder when this returns. Throws `JournalBroken`, and nothing else.
 */
export async function runLease(
  bench: Workbench,
  folder: AttemptFolder,
  lease: HeldLease,
  stop: AbortSignal,
): Promise<VerdictReport> {
  const { grant } = folder;
  const opened = await folder.journal();
  if (opened instanceof Error) return await settleDamaged(bench, folder, opened);
  const pages = untilStopped(opened, stop);
  const { phases, isOfEarlierBoot } = pages.past;
  const isNew = phases.length === 0;
  const leasedAtMs = phases[0]?.atMs ?? uptimeMs();
  if (isNew) await pages.note({ entry: "phase", phase: "leased", atMs: leasedAtMs });
  await using courier = new LogCourier(bench.uplink, grant.lease, logsOf(folder));
  const output = new OutputFile(folder.output, courier.ring);
  const screen = new PlainScreen({ output, guestFd: 1, hasColor: false });
  const narrator = new Narrator(screen, output, grant.job.steps.length);
  const { timeoutSeconds } = grant;
  const leftMs = leasedAtMs + timeoutSeconds * 1000 - uptimeMs();
  using limit = deadline(leftMs, () => {
    const says = `the job's time, ${timeoutSeconds} s, was over before the service had delivered its inputs`;
    return new Fault("input-undelivered", says, { stage: "inputs" });
  });
  const signal = AbortSignal.any([lease.over, limit.signal]);
  const durationMs = () =>
    isOfEarlierBoot ? Date.now() - folder.begunAtMs : uptimeMs() - leasedAtMs;
  const journal: Journal = {
    past: isNew ? { ...pages.past, phases: [{ phase: "leased", atMs: leasedAtMs }] } : pages.past,
    note: pages.note,
    settle: async (report) =>
      await folder.settle(await verdictReport(folder, report, durationMs())),
  };
  if (!isNew) await output.freshLine();
  const hasInputs = phases.length > 1 || isOfEarlierBoot;
  const report = await prepare(bench, folder, { screen, hasInputs }, signal).then(
    async () => {
      const told = { listener: listenerOf(narrator, lease), journal };
      return await runJob(bench.house, orderOf(bench, folder), told, lease.over);
    },
    async (error: unknown) => {
      const report = { ...nothingYet(), phases: [], verdict: verdictOf(error) };
      await journal.note({ entry: "verdict", verdict: report.verdict });
      await journal.settle(report);
      return report;
    },
  );
  narrator[Symbol.dispose]();
  const took = durationInWords(durationMs());
  screen.line(`${report.verdict.kind.replace("-", " ")} after ${took}`);
  await screen.close();
  return await verdictReport(folder, report, durationMs());
}

/** An attempt whose journal cannot be read or believed: nobody knows what it did, so what there is of it is told and it is tried elsewhere. */
async function settleDamaged(
  { house: { state, hypervisor } }: Workbench,
  folder: AttemptFolder,
  damage: Error,
): Promise<VerdictReport> {
  const says = `the attempt cannot go on without its journal: ${damage.message}`;
  const fault = new Fault("host-restarted", says, { cause: damage, stage: "journal" });
  const report = await faultReport(folder, fault, Date.now() - folder.begunAtMs);
  await folder.settle(report);
  const { jobId: job, attempt } = folder.grant;
  const name = machineName({ installation: state.installation, job, attempt });
  // What does not go now is a leftover for the next sweep.
  await removeMachine(state, hypervisor, name, AbortSignal.timeout(REMOVE_MS)).catch(
    () => undefined,
  );
  return report;
}

/** What is not noted is not done: a journal that never answers again holds its attempt still, for the next daemon to go on with. */
function untilStopped({ past, note }: AttemptJournal, stop: AbortSignal): AttemptJournal {
  const never = new Promise<void>(() => undefined);
  return {
    past,
    note: async (entry) => {
      if (stop.aborted) await never;
      await note(entry);
      if (stop.aborted) await never;
    },
  };
}

const DISK_FULL: ReadonlySet<string> = new Set(["ENOSPC", "EDQUOT"]);

/** Looks at the job, which came from outside, and brings its inputs here, unless an earlier daemon did. */
async function prepare(
  { uplink }: Workbench,
  { grant, inputs: folder }: AttemptFolder,
  { screen, hasInputs }: { screen: PlainScreen; hasInputs: boolean },
  signal: AbortSignal,
): Promise<void> {
  const wrong = wrongWithJob(grant.job);
  if (wrong !== undefined) throw new Fault("job-not-understood", wrong);
  const { inputs = [] } = grant.job;
  if (inputs.length === 0 || hasInputs) return;
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

function orderOf(bench: Workbench, folder: AttemptFolder): AttemptOrder {
  const { grant, inputs, results } = folder;
  const { job, imageDigest } = grant;
  const paths = new Map((job.inputs ?? []).map((input, at) => [input, join(inputs, String(at))]));
  const spec = specOfWireJob(job, (input) => paths.get(input) ?? inputs);
  return {
    spec: {
      ...spec,
      image: imageDigest === undefined ? spec.image : pinned(spec, imageDigest),
      timeoutSeconds: grant.timeoutSeconds,
    },
    job: grant.jobId,
    attempt: grant.attempt,
    resultsFolder: results,
    acceleration: bench.acceleration,
    keep: false,
    isResumable: true,
    libvirtPatienceSeconds: LIBVIRT_PATIENCE_SECONDS,
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
    takenUp(phase) {
      narrator.takenUp(phase);
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

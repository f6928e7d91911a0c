import { machineName } from "#job/machine-name.ts";
import type { Phase } from "#job/phase.ts";
import type { Log } from "#lib/log.ts";
import type { VerdictReport } from "#protocol/verdict.ts";
import { logsOf } from "./attempt-logs.ts";
import { type Delivery, deliver } from "./deliver.ts";
import { HeldLease } from "./hold-lease.ts";
import { type AttemptFolder, JournalBroken } from "./ports.ts";
import type { Claim } from "./room.ts";
import { runLease, type Workbench } from "./run-lease.ts";

type Entry = {
  readonly folder: AttemptFolder;
  readonly lease: HeldLease;
  /** What it takes of the host; undefined once its machine is gone and only words are left to be said. */
  claim: Claim | undefined;
  /** An earlier daemon settled it. */
  readonly isOver: boolean;
};

/** An attempt as the local API shows it. */
export type AttemptView = {
  readonly jobId: string;
  readonly attempt: number;
  readonly phase: Phase;
  readonly begunAt: string;
  /** running: it has room on this host. delivering: it is over, and the service does not have all of it yet. */
  readonly state: "running" | "delivering";
};

/** Hears how an attempt ended. */
export type OnVerdict = (report: VerdictReport, about: { job: string; attempt: number }) => void;

type Listeners = {
  readonly onRoom: () => void;
  readonly onVerdict: OnVerdict;
  readonly onBroken: (error: JournalBroken) => void;
};

/** All attempts that this host has something to do with. */
export class Attempts {
  readonly #bench: Workbench;
  readonly #log: Log;
  readonly #onRoom: () => void;
  readonly #onVerdict: OnVerdict;
  readonly #entries = new Set<Entry>();
  readonly #onBroken: (error: JournalBroken) => void;
  readonly #stop: AbortSignal;

  /**
   * `onRoom` is called whenever an attempt gave its room back, `onVerdict` once for each that ended, by this daemon or with the one
   * before, `onBroken` when the disk cannot be believed any more. When `stop` aborts, attempts stand still and nothing more is delivered.
   */
  constructor(
    bench: Workbench,
    log: Log,
    { onRoom, onVerdict, onBroken }: Listeners,
    stop: AbortSignal,
  ) {
    this.#bench = bench;
    this.#log = log;
    this.#onRoom = onRoom;
    this.#onVerdict = onVerdict;
    this.#onBroken = onBroken;
    this.#stop = stop;
  }

  /** What those that run take of the host. */
  get claims(): readonly Claim[] {
    return [...this.#entries].flatMap(({ claim }) => (claim === undefined ? [] : [claim]));
  }

  get views(): readonly AttemptView[] {
    return [...this.#entries].map(({ folder, lease, claim }) => ({
      jobId: folder.grant.jobId,
      attempt: folder.grant.attempt,
      phase: lease.phase,
      begunAt: new Date(folder.begunAtMs).toISOString(),
      state: claim === undefined ? "delivering" : "running",
    }));
  }

  /** Whether a machine of this name is one of theirs, or will be. */
  has(machine: string): boolean {
    const { installation } = this.#bench.house.state;
    return [...this.#entries].some(({ folder: { grant }, claim }) => {
      const identity = { installation, job: grant.jobId, attempt: grant.attempt };
      return claim !== undefined && machineName(identity) === machine;
    });
  }

  /** Runs an attempt that was leased just now, and delivers what came of it; neither is waited for. */
  begin(folder: AttemptFolder, claim: Claim): void {
    const lease = new HeldLease(this.#bench.uplink, folder.grant);
    const run = async () => await runLease(this.#bench, folder, lease, this.#stop);
    void this.#see({ folder, claim, lease, isOver: false }, run);
  }

  /** Takes over an attempt of an earlier daemon: one without a verdict goes on where it was, and what one has left is delivered. */
  async takeOver(folder: AttemptFolder, claim: Claim): Promise<void> {
    const { jobId, attempt } = folder.grant;
    const report = await folder.verdict();
    this.#log.info("attempt taken over", { job: jobId, attempt, isOver: report !== undefined });
    if (report === undefined) return this.begin(folder, claim);
    const lease = new HeldLease(this.#bench.uplink, folder.grant, "settled");
    void this.#see({ folder, claim: undefined, lease, isOver: true }, async () => report);
  }

  /** Before the daemon stops: what is printed so far goes to the service, and each lease gets its full length again. */
  async flush(signal: AbortSignal): Promise<void> {
    const { uplink } = this.#bench;
    const work = [...this.#entries].map(async ({ folder, lease }) => {
      const { grant } = folder;
      const request = { phase: lease.phase, spooled: { logBytes: 0, artifactBytes: 0 } };
      const sending = logsOf(folder).map((log) => uplink.sendLog(grant.lease, log, signal));
      await Promise.all([uplink.renew(grant.lease, request, signal), ...sending]);
    });
    await Promise.allSettled(work);
  }

  async #see(entry: Entry, run: () => Promise<VerdictReport>): Promise<void> {
    const { folder } = entry;
    const { jobId, attempt } = folder.grant;
    const about = { job: jobId, attempt };
    this.#entries.add(entry);
    using _ = entry.lease;
    try {
      const report = await run();
      if (!entry.isOver) this.#onVerdict(report, about);
      entry.claim = undefined;
      this.#onRoom();
      const delivery = await deliver(this.#bench.uplink, folder, report, this.#stop);
      this.#log.info("attempt over", { ...about, ...wideLine(report, delivery) });
    } catch (error) {
      if (error instanceof JournalBroken) this.#onBroken(error);
      else if (!this.#stop.aborted) this.#log.error("attempt went wrong", { ...about, error });
    } finally {
      this.#entries.delete(entry);
      this.#bench.uplink.forget(folder.grant.lease);
      this.#onRoom();
    }
  }
}

/** Everything worth counting about an attempt, in one line of the daemon's log. */
function wideLine(report: VerdictReport, delivery: Delivery): Readonly<Record<string, unknown>> {
  const { verdict, durationMs, phases, steps, artifacts, refused, logs, image } = report;
  const sum = (all: readonly { readonly bytes: number }[]) =>
    all.reduce((bytes, one) => bytes + one.bytes, 0);
  return {
    verdict: verdict.kind,
    ...(verdict.fault === undefined
      ? {}
      : { fault: verdict.fault.code, stage: verdict.fault.stage, why: verdict.fault.message }),
    ...(verdict.why === undefined ? {} : { why: verdict.why }),
    image: image === undefined ? undefined : `${image.name}:${image.version}`,
    acceleration: report.acceleration,
    durationMs,
    phasesMs: Object.fromEntries(phases.map(({ phase, durationMs: ms }) => [phase, ms])),
    steps: steps.length,
    artifacts: artifacts.length,
    artifactBytes: sum(artifacts),
    refused: refused.length,
    logBytes: sum(logs),
    ...(delivery.kind === "delivered" ? { jobIs: delivery.job } : { setAside: delivery.why }),
  };
}

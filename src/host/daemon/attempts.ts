import { Fault } from "#job/fault.ts";
import type { Phase } from "#job/phase.ts";
import type { Log } from "#lib/log.ts";
import type { VerdictReport } from "#protocol/verdict.ts";
import { logsOf } from "./attempt-logs.ts";
import { type Delivery, deliver } from "./deliver.ts";
import { HeldLease } from "./hold-lease.ts";
import type { AttemptFolder } from "./ports.ts";
import type { Claim } from "./room.ts";
import { runLease, type Workbench } from "./run-lease.ts";
import { faultReport } from "./verdict-report.ts";

type Entry = {
  readonly folder: AttemptFolder;
  readonly lease: HeldLease;
  /** What it takes of the host; undefined once its machine is gone and only words are left to be said. */
  claim: Claim | undefined;
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

/** All attempts that this host has something to do with. */
export class Attempts {
  readonly #bench: Workbench;
  readonly #log: Log;
  readonly #onRoom: () => void;
  readonly #entries = new Set<Entry>();
  readonly #stop: AbortSignal;

  /** `onRoom` is called whenever an attempt gave its room back. When `stop` aborts, nothing more is delivered. */
  constructor(bench: Workbench, log: Log, onRoom: () => void, stop: AbortSignal) {
    this.#bench = bench;
    this.#log = log;
    this.#onRoom = onRoom;
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

  /** Runs an attempt that was leased just now, and delivers what came of it; neither is waited for. */
  begin(folder: AttemptFolder, claim: Claim): void {
    const entry = { folder, claim, lease: new HeldLease(this.#bench.uplink, folder.grant) };
    void this.#see(entry, async () => await runLease(this.#bench, folder, entry.lease));
  }

  /** Takes over an attempt of an earlier daemon: one that ran is lost, and all of it that is here is delivered. */
  takeOver(folder: AttemptFolder): void {
    const lease = new HeldLease(this.#bench.uplink, folder.grant, "settled");
    void this.#see({ folder, claim: undefined, lease }, async () => {
      const known = await folder.verdict();
      return known ?? (await faultReport(folder, RESTARTED(), Date.now() - folder.begunAtMs));
    });
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
      // Without it the next daemon would think that the attempt was lost; this one still knows better.
      await folder.settle(report).catch((error: Error) => {
        this.#log.error("the verdict could not be noted", { ...about, error });
      });
      entry.claim = undefined;
      this.#onRoom();
      const delivery = await deliver(this.#bench.uplink, folder, report, this.#stop);
      this.#log.info("attempt over", { ...about, ...wideLine(report, delivery) });
    } catch (error) {
      if (!this.#stop.aborted) this.#log.error("attempt went wrong", { ...about, error });
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

const RESTARTED = () =>
  new Fault(
    "host-restarted",
    "the daemon of this host was restarted while the attempt ran, and did not go on with it",
  );

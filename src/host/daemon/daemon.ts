import { join } from "node:path";
import type { Image, TrialOutcome } from "#host/runner/ports.ts";
import { settleAcceleration } from "#host/runner/settle-acceleration.ts";
import { STATE_NAMES } from "#host/runner/state-folder.ts";
import { type Inventory, sweep } from "#host/runner/sweep.ts";
import { tryOut } from "#host/runner/try-out.ts";
import { Fault } from "#job/fault.ts";
import { FileLock } from "#lib/file-lock.ts";
import type { Log } from "#lib/log.ts";
import { retry } from "#lib/retry.ts";
import type { LeaseRequest } from "#protocol/lease.ts";
import { AttemptTally } from "./attempt-tally.ts";
import { Attempts, type OnVerdict } from "./attempts.ts";
import { claimOf } from "./claim.ts";
import type { DaemonNumbers } from "./daemon-numbers.ts";
import type { DaemonStatus } from "./daemon-status.ts";
import type { HealthOutcome } from "./health-check.ts";
import { HealthDesk } from "./health-desk.ts";
import { leaveQuarantine } from "./leave-quarantine.ts";
import { LibvirtWatch } from "./libvirt-watch.ts";
import { OwnRoom } from "./own-room.ts";
import type { AttemptBook, DrainFlag } from "./ports.ts";
import type { Quarantine } from "./quarantine.ts";
import { fitHold, hostFacts, type Limits, roomOf } from "./room.ts";
import type { Workbench } from "./run-lease.ts";
import { type Offer, takeLeases } from "./take-leases.ts";

const FLUSH_MS = 4_000;

const PAUSES = { firstMs: 1_000, longestMs: 60_000 } as const;

/** What a daemon is made of. */
export type DaemonParts = Workbench & {
  readonly host: string;
  readonly hostCpus: number;
  readonly versions: LeaseRequest["versions"];
  readonly labels: readonly string[];
  readonly limits: Limits;
  /** Whether machines may run without KVM, of which QEMU promises no protection from what runs in them. */
  readonly mayEmulate: boolean;
  readonly images: () => Promise<LeaseRequest["images"]>;
  readonly book: AttemptBook;
  readonly drain: DrainFlag;
  readonly quarantine: Quarantine;
  /** Name of the image that health checks run from. */
  readonly healthImage: string;
  readonly log: Log;
  /** Ends the process at once, machines left as they are: the disk cannot be believed, and only a new start reads what is there. */
  readonly die: (why: Error) => void;
};

/**
 * A host at work: takes leases, runs each in a machine of its own and reports, until it is told to stop; then machines are left as
 * they are, for the next daemon.
 */
export class Daemon {
  readonly #parts: DaemonParts;
  readonly #stopping = new AbortController();
  readonly #attempts: Attempts;
  readonly #ownRoom: OwnRoom;
  readonly #health: HealthDesk;
  readonly #libvirt: LibvirtWatch;
  readonly #tally = new AttemptTally();
  #takenOver = 0;
  #changed = new AbortController();
  #acceleration: "kvm" | "tcg" | undefined;
  #notReady: string | undefined = "it is starting";

  constructor(parts: DaemonParts) {
    this.#parts = parts;
    this.#libvirt = new LibvirtWatch(parts.house, parts.log);
    const { signal } = this.#stopping;
    const onRoom = () => this.#change();
    const onVerdict: OnVerdict = ({ verdict }, { job, attempt }) => {
      this.#tally.count(verdict);
      parts.quarantine.note(verdict, `attempt ${attempt} of ${job}`);
    };
    const listeners = { onRoom, onVerdict, onBroken: parts.die };
    this.#attempts = new Attempts(parts, parts.log, listeners, signal);
    parts.quarantine.onChange(onRoom);
    const now = {
      room: () => this.#room(),
      trouble: () => this.#notReady ?? this.#libvirt.trouble,
      drain: parts.drain,
    };
    this.#ownRoom = new OwnRoom(now, onRoom);
    this.#health = new HealthDesk(parts, this.#ownRoom);
  }

  /** Works until `stop` aborts, then says what is left to be said within five seconds. Throws nothing that may pass. */
  async run(stop: AbortSignal): Promise<void> {
    const { host, book, log, uplink, quarantine } = this.#parts;
    await this.#takeOver();
    void this.#prepare(stop).catch((error: Error) => {
      if (stop.aborted) return;
      this.#notReady = error.message;
      log.error("this host takes no work", { error });
    });
    void leaveQuarantine(quarantine, (signal) => this.#health.check(signal), log, stop);
    const attempts = this.#attempts;
    const offer = () => this.#offer();
    await takeLeases(
      { host, uplink, book, attempts, log, offer, changed: () => this.#changed.signal },
      stop,
    );
    log.info("takes nothing more", { attempts: attempts.views.length });
    await Promise.all([attempts.flush(AbortSignal.timeout(FLUSH_MS)), quarantine.written]);
    this.#stopping.abort(new Error("the daemon stops"));
  }

  /** Takes nothing new, and finishes what runs; also after a restart. Twice is safe. */
  async drain(why: string): Promise<void> {
    await this.#parts.drain.set(why);
    this.#parts.log.info("drained", { why });
    this.#change();
  }

  /** Takes work again, and holds nothing that broke against the host. Twice is safe. */
  async resume(): Promise<void> {
    await this.#parts.drain.clear();
    await this.#parts.quarantine.end();
    this.#parts.log.info("resumed", {});
    this.#change();
  }

  async status(): Promise<DaemonStatus> {
    const { host, uplink } = this.#parts;
    const { capacity, free, hold } = await this.#room();
    const attempts = this.#attempts.views;
    const { trouble } = uplink;
    const { drain, quarantine } = this.#parts;
    const { drained } = drain;
    const why = this.#whyClosed() ?? hold;
    const isIdle = this.#attempts.claims.length === 0;
    const ofQuarantine = quarantine.why === undefined ? "holding" : "quarantined";
    const ofWork = why === undefined ? "working" : ofQuarantine;
    const ofDrain = isIdle ? "drained" : "draining";
    return {
      host,
      state: drained === undefined ? ofWork : ofDrain,
      ...(why === undefined ? {} : { why }),
      capacity,
      free,
      ...(this.#acceleration === undefined ? {} : { acceleration: this.#acceleration }),
      ...(trouble === undefined ? {} : { serviceTrouble: trouble }),
      attempts,
    };
  }

  /** Names of the folders of attempts that it has something to do with. */
  get atWork(): ReadonlySet<string> {
    return new Set(this.#attempts.views.map(({ jobId, attempt }) => `${jobId}-${attempt}`));
  }

  /** What there is to count. */
  async numbers(): Promise<DaemonNumbers> {
    const { state, free, attempts, serviceTrouble } = await this.status();
    const { quarantine } = this.#parts;
    const { faults, pauses, why } = quarantine;
    const running = attempts.filter((attempt) => attempt.state === "running").length;
    return {
      endings: this.#tally.endings,
      takenOver: this.#takenOver,
      running,
      delivering: attempts.length - running,
      state,
      isServiceAway: serviceTrouble !== undefined,
      slotsFree: free.slots,
      quarantine: { faults, pauses, isIn: why !== undefined },
      healthChecks: this.#health.counts,
    };
  }

  /** Sweeps what an earlier daemon left, and finds out how machines run here. libvirt may be away for a while. */
  async #prepare(stop: AbortSignal): Promise<void> {
    const { house, acceleration, mayEmulate, log } = this.#parts;
    // Whatever it is: an admin mends it, or it passes, and nobody should have to start the daemon again.
    const mayPass = (error: unknown) => {
      log.warn("this host is not ready yet", { error });
      this.#notReady = Fault.from(error).message;
      return 0;
    };
    const found = await retry(
      async () => {
        await this.sweep(stop);
        const listener = { progress: (line: string) => log.info(line, {}) };
        return await settleAcceleration(house, acceleration, listener, stop);
      },
      mayPass,
      PAUSES,
      stop,
    );
    this.#acceleration = found;
    if (found === "tcg" && !mayEmulate) {
      throw new Error(
        "machines would be emulated here, without KVM, and QEMU promises no protection from what runs in them then; to take work all the same, write machines: { emulation: allowed } into the configuration",
      );
    }
    this.#notReady = undefined;
    this.#change();
  }

  /** Before anything is swept or leased: what earlier daemons left, with the room that it takes. */
  async #takeOver(): Promise<void> {
    const { book, images } = this.#parts;
    const folders = await book.open();
    const offered = folders.length === 0 ? [] : await images().catch(() => []);
    for (const folder of folders)
      await this.#attempts.takeOver(folder, claimOf(folder.grant, offered));
    this.#takenOver = folders.length;
  }

  /** Removes machines whose maker is gone, as the start does: the caretaker's, every few minutes. Throws libvirt-unreachable. */
  async sweep(signal: AbortSignal): Promise<Inventory> {
    const { house, log } = this.#parts;
    const { state, hypervisor } = house;
    using _ = await FileLock.take(join(state.path, STATE_NAMES.admissionLock), signal);
    const isWanted = (name: string) => this.#attempts.has(name);
    const inventory = await sweep(state, hypervisor, signal, isWanted);
    const { swept, failed } = inventory;
    for (const name of swept) log.info("swept a machine whose daemon is gone", { machine: name });
    for (const { name, error } of failed)
      log.warn("could not sweep a machine", { machine: name, error });
    return inventory;
  }

  /**
   * The health check that is due by the schedule: one that fails is held against the host. Skipped while there is no room for it, and in
   * quarantine, which has checks of its own.
   */
  async checkHealth(signal: AbortSignal): Promise<HealthOutcome> {
    const { quarantine } = this.#parts;
    if (quarantine.why !== undefined) return { kind: "skipped", why: "the host is in quarantine" };
    const outcome = await this.#health.check(signal);
    if (outcome.kind === "failed") quarantine.checked(outcome.fault);
    return outcome;
  }

  /** `TryOut`, in the room that the host's attempts leave. */
  async tryOut(
    image: Image,
    onProgress: (line: string) => void,
    signal: AbortSignal,
  ): Promise<TrialOutcome> {
    const { house, acceleration, quarantine } = this.#parts;
    if (quarantine.why !== undefined) return { kind: "skipped", why: "the host is in quarantine" };
    const claim = { cpus: 1, memoryMiB: image.memoryMiBMin, diskMiB: 0 };
    return await this.#ownRoom.during(claim, () =>
      tryOut(house, acceleration, image, onProgress, signal),
    );
  }

  async #offer(): Promise<Offer> {
    const { host, versions, images, labels } = this.#parts;
    await this.#libvirt.look();
    const { capacity, free, hold } = await this.#room();
    const closed = this.#whyClosed();
    const why = closed ?? hold;
    return {
      host,
      versions,
      images: await images(),
      labels: [...labels],
      capacity,
      free: closed === undefined ? free : { ...free, slots: 0 },
      acceleration: this.#acceleration ?? "tcg",
      ...(why === undefined ? {} : { hold: fitHold(why) }),
    };
  }

  /** Why nothing begins here, however much room there is. */
  #whyClosed(): string | undefined {
    const { drain, quarantine } = this.#parts;
    return drain.drained?.why ?? quarantine.why ?? this.#notReady ?? this.#libvirt.trouble;
  }

  async #room() {
    const { house, hostCpus, limits } = this.#parts;
    const about = { hostCpus, neighboursMiB: this.#libvirt.neighboursMiB };
    const claims = [...this.#attempts.claims, ...this.#ownRoom.claims];
    return roomOf(limits, await hostFacts(house.state.path, about), claims);
  }

  #change(): void {
    const before = this.#changed;
    this.#changed = new AbortController();
    before.abort(new Error("there may be more room now"));
  }
}

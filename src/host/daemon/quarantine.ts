import type { FaultCode } from "#job/fault.ts";
import type { Log } from "#lib/log.ts";
import { printable } from "#lib/printable.ts";
import { secondsInWords } from "#lib/words.ts";
import type { WireVerdict } from "#protocol/verdict.ts";
import type { HostFault, QuarantineFile, QuarantineRecord } from "./ports.ts";

/** When a host takes itself out of work. */
export type QuarantineOrder = {
  /** So many faults of its own in a row; 0: never. */
  readonly after: number;
  readonly firstPauseMs: number;
  /** Each pause is twice the one before, up to this. */
  readonly longestPauseMs: number;
};

/** Time that means the same to the next daemon, as long as the host does not boot. */
export type HostClock = { readonly boot: string; uptimeMs(): number };

/** Faults that are this host's and say nothing of whether it can run machines. */
const NOT_OF_ITS_HEALTH: ReadonlySet<string> = new Set<FaultCode>([
  // Somebody restarted the daemon: all that ran breaks at once.
  "host-restarted",
  // A newer submitter's words.
  "job-not-understood",
]);

const MESSAGE_CHARACTERS_MAX = 300;

const HEALTHY: QuarantineRecord = { faults: [], pauses: 0 };

/**
 * Counts attempts that break by this host's own fault, and takes the host out of work when there were too many in a row:
 *
 *     working      ── `after` faults in a row ──► quarantined: no work for a pause
 *     quarantined  ── pause over, health check passes ──► on probation: works
 *     quarantined  ── pause over, health check fails ──► quarantined, twice as long
 *     on probation ── one fault ──► quarantined, twice as long
 *     on probation ── an attempt that does not break ──► working
 *
 * What it knows is on disk, so a restart ends nothing. A boot of the host ends a pause, and the check has to pass all the same.
 */
export class Quarantine {
  readonly #file: QuarantineFile;
  readonly #order: QuarantineOrder;
  readonly #clock: HostClock;
  readonly #log: Log;
  readonly #onChange = new Set<() => void>();
  #record: QuarantineRecord;
  #writing: Promise<void> = Promise.resolve();

  constructor(file: QuarantineFile, order: QuarantineOrder, clock: HostClock, log: Log) {
    this.#file = file;
    this.#order = order;
    this.#clock = clock;
    this.#log = log;
    this.#record = file.known ?? HEALTHY;
  }

  /** Why the host takes no work, for people; undefined while it does. */
  get why(): string | undefined {
    const { faults, until } = this.#record;
    if (until === undefined) return undefined;
    const last = faults.at(-1);
    const times = faults.length === 1 ? "once" : `${faults.length} times in a row`;
    const left = Math.ceil((this.msLeft ?? 0) / 1000);
    const then =
      left > 0 ? `in ${secondsInWords(left)} a health check decides` : "a health check decides";
    return `it broke ${times} by its own fault${last === undefined ? "" : `, at last ${last.about} with ${last.code}: ${last.message}`}; ${then}, or 'testbed host resume'`;
  }

  /** Milliseconds that the pause has left; 0: a health check is due; undefined while the host works. */
  get msLeft(): number | undefined {
    const { until } = this.#record;
    if (until === undefined) return undefined;
    if (until.boot !== this.#clock.boot) return 0;
    return Math.max(0, until.uptimeMs - this.#clock.uptimeMs());
  }

  /** Faults of its own in a row, or that it is in quarantine for. */
  get faults(): number {
    return this.#record.faults.length;
  }

  /** Pauses since an attempt ended well last. */
  get pauses(): number {
    return this.#record.pauses;
  }

  /** Resolves when what is known now is on disk, or was found not to be taken by it. */
  get written(): Promise<void> {
    return this.#writing;
  }

  /** `heard` is called whenever the host goes into quarantine or out of it, or its pause changes. */
  onChange(heard: () => void): void {
    this.#onChange.add(heard);
  }

  /** An attempt ended here. */
  note(verdict: WireVerdict, about: string): void {
    // Its own check decides whether it leaves; what still ran when it went in says nothing new.
    if (this.#record.until !== undefined) return;
    const { code, blame, message } = verdict.fault ?? {};
    if (verdict.kind !== "broken") this.#endedWell();
    else if (code !== undefined && blame === "host" && !NOT_OF_ITS_HEALTH.has(code))
      this.#fault({ code, message: message ?? "", about });
  }

  /** A health check came to an end: undefined when it passed. Counts as a fault of the host, or decides whether it leaves quarantine. */
  checked(fault: Omit<HostFault, "about"> | undefined): void {
    if (fault !== undefined) this.#fault({ ...fault, about: "a health check" });
    if (fault !== undefined || this.#record.until === undefined) return;
    this.#log.info("leaves quarantine, a health check passed", { pauses: this.pauses });
    this.#set({ faults: [], pauses: this.pauses });
  }

  /** Somebody says that all is well: nothing is held against the host any more. Twice is safe. */
  async end(): Promise<void> {
    if (this.#record.until !== undefined) this.#log.info("leaves quarantine, somebody said so", {});
    this.#set(HEALTHY);
    await this.#writing;
  }

  #endedWell(): void {
    if (this.#record.faults.length > 0 || this.#record.pauses > 0) this.#set(HEALTHY);
  }

  #fault({ message, ...fault }: HostFault): void {
    const { after, firstPauseMs, longestPauseMs } = this.#order;
    if (after === 0) return;
    const told = { ...fault, message: printable(message, MESSAGE_CHARACTERS_MAX) };
    const { pauses, until } = this.#record;
    const faults = [...this.#record.faults, told].slice(-after);
    const isEnough = until !== undefined || pauses > 0 || faults.length >= after;
    if (isEnough) {
      const pauseMs = Math.min(firstPauseMs * 2 ** pauses, longestPauseMs);
      const line = { pauseMs, pauses: pauses + 1, faults: faults.map(({ code }) => code) };
      this.#log.warn("this host takes no work, it is in quarantine", { ...line, last: told });
      const endMs = this.#clock.uptimeMs() + pauseMs;
      const { boot } = this.#clock;
      this.#set({ faults, pauses: pauses + 1, until: { boot, uptimeMs: endMs } });
    } else this.#set({ faults, pauses });
  }

  #set(record: QuarantineRecord): void {
    this.#record = record;
    const write = () => this.#file.write(record === HEALTHY ? undefined : record);
    this.#writing = this.#writing.then(write).catch((error: unknown) => {
      // It holds all the same, until this daemon ends.
      this.#log.warn("the quarantine could not be noted", { error });
    });
    for (const heard of this.#onChange) heard();
  }
}

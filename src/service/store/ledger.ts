import { HostBook } from "./host-book.ts";
import { LiveLeases } from "./live-leases.ts";
import { Queue } from "./queue.ts";
import type { Sql } from "./sql.ts";

/** Settings of a store that do not change while it is open. */
export type LedgerOptions = {
  /** Length of a lease after each renewal. */
  readonly leaseSeconds: number;
};

/** Now, by the monotonic clock and by the wall clock. */
export type Now = { readonly nowMs: number; readonly wallMs: number };

/** Less is how clocks are kept right. */
const JUMP_MS = 60_000;

/**
 * All that commands work on: the database and the pictures of it in memory. The clocks are told with each batch of commands, so that
 * nothing here reads one.
 */
export class Ledger {
  /** From the monotonic clock to the wall clock. */
  #offsetMs: number;
  readonly sql: Sql;
  readonly options: LedgerOptions;
  readonly queue: Queue;
  readonly leases: LiveLeases;
  readonly hosts: HostBook;
  /** When a backup made this database; undefined: it is nobody's copy. */
  readonly copiedAt: string | undefined;
  /** The monotonic clock: decides leases and silence. */
  nowMs = 0;
  /** The wall clock in whole milliseconds: for people, and for limits of the queue. */
  wallMs = 0;

  constructor(sql: Sql, options: LedgerOptions, now: Now) {
    this.sql = sql;
    this.options = options;
    this.tellTime(now);
    this.#offsetMs = this.wallMs - this.nowMs;
    this.queue = new Queue(sql);
    this.leases = new LiveLeases(sql, options.leaseSeconds * 1000, this.nowMs);
    this.hosts = new HostBook(sql, this);
    this.copiedAt = sql.one<{ value: string }>(
      "SELECT value FROM facts WHERE name = 'copied_at'",
    )?.value;
  }

  /**
   * How far the wall clock was set to another time since the last call, by more than a minute; else 0. What is due by it is to
   * move along: a clock that is put right should end nothing.
   */
  takeJump(): number {
    const offsetMs = this.wallMs - this.nowMs;
    const jumpMs = Math.round(offsetMs - this.#offsetMs);
    if (Math.abs(jumpMs) < JUMP_MS) return 0;
    this.#offsetMs = offsetMs;
    return jumpMs;
  }

  /** What time it is for the commands that come. */
  tellTime({ nowMs, wallMs }: Now): void {
    this.nowMs = nowMs;
    this.wallMs = Math.floor(wallMs);
  }

  /** Reads the pictures again; what is on disk is true. Live leases have a full length then. */
  reload(): void {
    this.queue.reload();
    this.leases.reload(this.nowMs);
    this.hosts.reload(this);
  }
}

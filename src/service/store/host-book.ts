import type { LeaseRequest } from "#protocol/lease.ts";
import { matchOffer } from "#service/matching/match-offer.ts";
import type { Requirement } from "#service/matching/requirement.ts";
import type { KnownHost } from "#service/matching/why-waiting.ts";
import type { Now } from "./ledger.ts";
import type { Row, Sql } from "./sql.ts";

/** What a host says of itself when it asks for work. */
type HostOffer = Omit<LeaseRequest, "requestId" | "waitSeconds">;

/** A host as the service knows it. Times in `…At` are wall clock, `seenMs` is the monotonic clock. */
export type HostRecord = {
  offer: HostOffer;
  /** What of the offer is worth a write, as a text. */
  lasting: string;
  readonly firstAt: number;
  seenAt: number;
  seenMs: number;
  /** When table `hosts` was last brought up to date. */
  savedAt: number;
  drain: { readonly why: string; readonly at: number } | undefined;
  lostAt: number | undefined;
};

type HostRow = Row & {
  name: string;
  offer: string;
  first_at: number;
  seen_at: number;
  drained_at: number | null;
  drain: string | null;
  lost_at: number | null;
};

/** A host that polls is heard each minute; three missed polls make it lost. */
const SILENT_MS_MAX = 180_000;
/** How old `seen_at` on disk may be: a poll that brings no news should cost no write. */
const SAVE_AFTER_MS = 60_000;

/** The hosts, in memory and in table `hosts`. */
export class HostBook {
  readonly #sql: Sql;
  readonly #hosts = new Map<string, HostRecord>();

  constructor(sql: Sql, now: Now) {
    this.#sql = sql;
    this.reload(now);
  }

  /** Reads the hosts again: at start all were heard just now, after a rollback when they were. */
  reload({ nowMs }: Now): void {
    const known = new Map(this.#hosts);
    this.#hosts.clear();
    for (const row of this.#sql.all<HostRow>("SELECT * FROM hosts")) {
      this.#hosts.set(row.name, {
        ...withLasting(JSON.parse(row.offer) as HostOffer),
        firstAt: row.first_at,
        seenAt: row.seen_at,
        seenMs: known.get(row.name)?.seenMs ?? nowMs,
        savedAt: row.seen_at,
        drain: row.drain === null ? undefined : { why: row.drain, at: row.drained_at ?? 0 },
        lostAt: row.lost_at ?? undefined,
      });
    }
  }

  get(name: string): HostRecord | undefined {
    return this.#hosts.get(name);
  }

  all(): readonly HostRecord[] {
    return [...this.#hosts.values()];
  }

  /** The hosts as a waiting job sees them. */
  known(): readonly KnownHost[] {
    return this.all().map((host) => ({ offer: host.offer, isAway: isAway(host) }));
  }

  /** A host asked for work: keeps what it says of itself. */
  offered(request: LeaseRequest, now: Now): HostRecord {
    const { requestId: _, waitSeconds: __, ...offer } = request;
    const lasting = lastingOf(offer);
    const known = this.#hosts.get(offer.host);
    if (known?.lasting === lasting) {
      known.offer = offer;
      this.#heard(known, now);
      return known;
    }
    const record = known ?? newRecord(offer, now);
    Object.assign(record, { offer, lasting });
    this.#hosts.set(offer.host, record);
    this.#save(record, now);
    return record;
  }

  /** A host was heard otherwise. A host that nobody knows is passed over. */
  heard(name: string, now: Now): void {
    const record = this.#hosts.get(name);
    if (record !== undefined) this.#heard(record, now);
  }

  /** Drains a host, or lets it work again. False when there is no such host. */
  setDrain(name: string, why: string | undefined, { wallMs }: Now): boolean {
    const record = this.#hosts.get(name);
    if (record === undefined) return false;
    if ((record.drain === undefined) === (why === undefined)) return true;
    record.drain = why === undefined ? undefined : { why, at: wallMs };
    this.#sql.run(
      "UPDATE hosts SET drain = ?, drained_at = ? WHERE name = ?",
      why ?? null,
      why === undefined ? null : wallMs,
      name,
    );
    return true;
  }

  /** Marks hosts that were silent too long as lost and returns their names. */
  loseSilent({ nowMs, wallMs }: Now): readonly string[] {
    const lost = this.all().filter(
      ({ lostAt, seenMs }) => lostAt === undefined && nowMs - seenMs > SILENT_MS_MAX,
    );
    for (const record of lost) {
      record.lostAt = wallMs;
      this.#sql.run("UPDATE hosts SET lost_at = ? WHERE name = ?", wallMs, record.offer.host);
    }
    return lost.map(({ offer }) => offer.host);
  }

  /** Forgets hosts that were lost before a time, do nothing and are not drained; returns their names. */
  retire(before: number, doing: ReadonlyMap<string, unknown>): readonly string[] {
    const old = this.all().filter(
      ({ lostAt, drain, offer }) =>
        lostAt !== undefined && lostAt < before && drain === undefined && !doing.has(offer.host),
    );
    for (const { offer } of old) {
      this.#hosts.delete(offer.host);
      this.#sql.run("DELETE FROM hosts WHERE name = ?", offer.host);
    }
    return old.map(({ offer }) => offer.host);
  }

  /** True when a host other than those to avoid is there and could take such a job when it is free. */
  hasOther(requirement: Requirement): boolean {
    return this.all().some((host) => {
      if (isAway(host) || requirement.avoid.includes(host.offer.host)) return false;
      const found = matchOffer(requirement, host.offer);
      return typeof found !== "string" || found === "busy";
    });
  }

  #heard(record: HostRecord, now: Now): void {
    const isStale = record.lostAt !== undefined || now.wallMs - record.savedAt > SAVE_AFTER_MS;
    record.seenMs = now.nowMs;
    record.seenAt = now.wallMs;
    if (isStale) this.#save(record, now);
  }

  #save(record: HostRecord, { nowMs, wallMs }: Now): void {
    record.seenMs = nowMs;
    record.seenAt = wallMs;
    record.savedAt = wallMs;
    record.lostAt = undefined;
    this.#sql.run(
      `INSERT INTO hosts (name, offer, first_at, seen_at) VALUES (?1, ?2, ?3, ?4)
       ON CONFLICT (name) DO UPDATE SET offer = ?2, seen_at = ?4, lost_at = NULL`,
      record.offer.host,
      JSON.stringify(record.offer),
      record.firstAt,
      record.seenAt,
    );
  }
}

function newRecord(offer: HostOffer, { nowMs, wallMs }: Now): HostRecord {
  return {
    ...withLasting(offer),
    firstAt: wallMs,
    seenAt: wallMs,
    seenMs: nowMs,
    savedAt: wallMs,
    drain: undefined,
    lostAt: undefined,
  };
}

function isAway({ drain, lostAt }: HostRecord): boolean {
  return drain !== undefined || lostAt !== undefined;
}

function withLasting(offer: HostOffer): Pick<HostRecord, "offer" | "lasting"> {
  return { offer, lasting: lastingOf(offer) };
}

/** What a host has free, and what it says of that, changes with each poll and is not worth a write. */
function lastingOf(offer: HostOffer): string {
  return JSON.stringify({ ...offer, free: undefined, hold: undefined });
}

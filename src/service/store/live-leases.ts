import type { RenewRequest } from "#protocol/lease.ts";
import type { Row, Sql } from "./sql.ts";

/** A lease that may still be renewed. */
export type LiveLease = {
  readonly lease: string;
  readonly job: number;
  readonly jobId: string;
  readonly attempt: number;
  readonly host: string;
  /** The id that the host made for its request. */
  readonly request: string;
  readonly leasedAt: number;
  phase: RenewRequest["phase"];
  /** Limit of the attempt, which its host is to keep. */
  readonly timeoutSeconds: number;
  /** By the service's monotonic clock, as is the next. */
  endMs: number;
  /** When it ends however often it is renewed. */
  readonly limitMs: number;
  spooled: RenewRequest["spooled"] | undefined;
};

type LiveRow = Row & {
  lease: string;
  job: number;
  id: string;
  number: number;
  host: string;
  request: string;
  phase: string;
  leased_at: number;
  timeout_seconds: number;
};

/**
 * How long after an attempt's time limit its host may still hold it: to bring home files and to deliver them over a slow line. A
 * host that goes on for longer does not keep limits, and would hold the job for ever.
 */
const GRACE_SECONDS = 2 * 3600;

/**
 * The live leases, as table `attempts` has them, with their ends. Ends are only here: a renewal without news writes nothing, and
 * a service that starts gives every live lease a full length again, so that no clock of an earlier life and no wall clock
 * decides.
 */
export class LiveLeases {
  readonly #sql: Sql;
  readonly #lengthMs: number;
  readonly #byId = new Map<string, LiveLease>();
  readonly #byRequest = new Map<string, LiveLease>();

  constructor(sql: Sql, lengthMs: number, nowMs: number) {
    this.#sql = sql;
    this.#lengthMs = lengthMs;
    this.reload(nowMs);
  }

  /** Reads the leases again: at start each has a full length from now, after a rollback those that are known keep their ends. */
  reload(nowMs: number): void {
    const known = new Map(this.#byId);
    this.#byId.clear();
    this.#byRequest.clear();
    const rows = this.#sql.all<LiveRow>(
      `SELECT lease, job, id, number, attempts.host, request, attempts.phase, leased_at, timeout_seconds
       FROM attempts JOIN jobs USING (job) WHERE attempts.state = 'live'`,
    );
    for (const row of rows) {
      this.add({
        lease: row.lease,
        job: row.job,
        jobId: row.id,
        attempt: row.number,
        host: row.host,
        request: row.request,
        leasedAt: row.leased_at,
        phase: row.phase as LiveLease["phase"],
        timeoutSeconds: row.timeout_seconds,
        ...endsOf(known.get(row.lease) ?? this.ends(nowMs, row.timeout_seconds)),
      });
    }
  }

  /** The ends of a lease that begins, or that a service which starts finds. */
  ends(nowMs: number, timeoutSeconds: number) {
    return {
      endMs: nowMs + this.#lengthMs,
      limitMs: nowMs + (timeoutSeconds + GRACE_SECONDS) * 1000,
      spooled: undefined,
    };
  }

  add(lease: LiveLease): void {
    this.#byId.set(lease.lease, lease);
    this.#byRequest.set(requestKey(lease.host, lease.request), lease);
  }

  /** Ends a lease; twice is safe. */
  remove(lease: string): void {
    const found = this.#byId.get(lease);
    if (found === undefined) return;
    this.#byId.delete(lease);
    this.#byRequest.delete(requestKey(found.host, found.request));
  }

  /** The lease when it is live and this host's. */
  of(lease: string, host: string): LiveLease | undefined {
    const found = this.#byId.get(lease);
    return found?.host === host ? found : undefined;
  }

  /** All live leases by their hosts. */
  byHost(): ReadonlyMap<string, readonly LiveLease[]> {
    return Map.groupBy(this.#byId.values(), ({ host }) => host);
  }

  /** The lease that a host's request was answered with, when it is live. */
  answering(host: string, request: string): LiveLease | undefined {
    return this.#byRequest.get(requestKey(host, request));
  }

  /** Leases whose end has passed. */
  past(nowMs: number): readonly LiveLease[] {
    return [...this.#byId.values()].filter(({ endMs }) => endMs < nowMs);
  }

  /** Leases whose host holds them long after their attempt's time limit. */
  overrun(nowMs: number): readonly LiveLease[] {
    return [...this.#byId.values()].filter(({ limitMs }) => limitMs < nowMs);
  }
}

function endsOf({ endMs, limitMs, spooled }: Pick<LiveLease, "endMs" | "limitMs" | "spooled">) {
  return { endMs, limitMs, spooled };
}

function requestKey(host: string, request: string): string {
  return `${host} ${request}`;
}

import type { Grant, LeaseRequest } from "#protocol/lease.ts";
import { note } from "./chronicle.ts";
import { growingId } from "./ids.ts";
import type { Ledger } from "./ledger.ts";
import type { LiveLease } from "./live-leases.ts";
import type { Candidate } from "./queue.ts";
import type { Row } from "./sql.ts";

/** A grant whose job is still text: it is parsed by who asked, not by the one thread that writes. */
export type PackedGrant = Omit<Grant, "job"> & { readonly job: string };

type JobRow = Row & {
  id: string;
  attempts: number;
  timeout_seconds: number;
  pinned_digest: string | null;
  body: string;
};

/** Leases a job to a host: see `Store.take`. */
export function take(ledger: Ledger, request: LeaseRequest): PackedGrant | undefined {
  const host = ledger.hosts.offered(request, ledger);
  const before = ledger.leases.answering(request.host, request.requestId);
  if (before !== undefined) return grantAgain(ledger, before);
  if (host.drain !== undefined) return undefined;
  const found = ledger.queue.best(host.offer, (requirement) => !ledger.hosts.hasOther(requirement));
  if (found === undefined || isUsed(ledger, request)) return undefined;
  return grantNew(ledger, request, found);
}

/** A repeat that was on its way for so long that the lease it led to is over: whoever sent it waits for nothing. */
function isUsed({ sql }: Ledger, { host, requestId }: LeaseRequest): boolean {
  const text = "SELECT 1 AS used FROM attempts WHERE host = ? AND request = ?";
  return sql.one(text, host, requestId) !== undefined;
}

function grantNew(ledger: Ledger, request: LeaseRequest, found: Candidate): PackedGrant {
  const { job, image } = found;
  const row = jobRow(ledger, job);
  const attempt = row.attempts + 1;
  const pinned = row.pinned_digest ?? image.digest;
  const { sql, wallMs, nowMs } = ledger;
  const lease = growingId(wallMs);
  ledger.queue.removeFirst(found);
  sql.run(
    `UPDATE jobs SET state = 'leased', phase = 'leased', host = ?, attempts = ?, pinned_digest = ?,
       started_at = coalesce(started_at, ?) WHERE job = ?`,
    request.host,
    attempt,
    pinned ?? null,
    wallMs,
    job,
  );
  sql.run(
    `INSERT INTO attempts (job, number, lease, host, request, state, phase, leased_at)
     VALUES (?, ?, ?, ?, ?, 'live', 'leased', ?)`,
    job,
    attempt,
    lease,
    request.host,
    request.requestId,
    wallMs,
  );
  const pins = row.pinned_digest === null && pinned !== undefined;
  const says = `leased to ${request.host}${pins ? `; image pinned to ${image.name}@sha256:${pinned}` : ""}`;
  note(ledger, job, { kind: "leased", attempt, host: request.host, says });
  ledger.leases.add({
    lease,
    job,
    jobId: row.id,
    attempt,
    host: request.host,
    request: request.requestId,
    leasedAt: wallMs,
    phase: "leased",
    timeoutSeconds: row.timeout_seconds,
    ...ledger.leases.ends(nowMs, row.timeout_seconds),
  });
  return pack(ledger, lease, attempt, { ...row, pinned_digest: pinned ?? null });
}

/** The answer was lost: the host gets it once more. Asking is a sign of life, so the lease is renewed. */
function grantAgain(ledger: Ledger, live: LiveLease): PackedGrant {
  live.endMs = ledger.nowMs + ledger.options.leaseSeconds * 1000;
  return pack(ledger, live.lease, live.attempt, jobRow(ledger, live.job));
}

function jobRow({ sql }: Ledger, job: number): JobRow {
  const row = sql.one<JobRow>(
    "SELECT id, attempts, timeout_seconds, pinned_digest, body FROM jobs JOIN specs USING (job) WHERE job = ?",
    job,
  );
  if (row === undefined) throw new Error(`no job ${job}`);
  return row;
}

function pack(ledger: Ledger, lease: string, attempt: number, row: JobRow): PackedGrant {
  return {
    lease,
    jobId: row.id,
    attempt,
    job: row.body,
    ...(row.pinned_digest === null ? {} : { imageDigest: row.pinned_digest }),
    lengthSeconds: ledger.options.leaseSeconds,
    timeoutSeconds: row.timeout_seconds,
  };
}

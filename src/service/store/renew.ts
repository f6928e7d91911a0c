import { NEXT_PHASES } from "#job/phase.ts";
import type { RenewRequest } from "#protocol/lease.ts";
import type { Held, NotHeld, Renewed } from "#service/ports.ts";
import { note } from "./chronicle.ts";
import type { Ledger } from "./ledger.ts";
import type { LiveLease } from "./live-leases.ts";

/** A host goes on: see `Store.renew`. */
export function renew(
  ledger: Ledger,
  { lease, host, request }: { lease: string; host: string; request: RenewRequest },
): Renewed {
  const live = ledger.leases.of(lease, host);
  if (live === undefined) return whyNotHeld(ledger, lease, host);
  const { leaseSeconds } = ledger.options;
  ledger.hosts.heard(host, ledger);
  live.endMs = ledger.nowMs + leaseSeconds * 1000;
  live.spooled = request.spooled;
  enter(ledger, live, request.phase);
  if (request.image !== undefined) pin(ledger, live, request.image);
  const cancel = ledger.sql.one<{ cancel: string | null }>(
    "SELECT cancel FROM jobs WHERE job = ?",
    live.job,
  )?.cancel;
  return {
    kind: "renewed",
    secondsLeft: leaseSeconds,
    ...(typeof cancel === "string" ? { cancel } : {}),
  };
}

/** What a lease is about: see `Store.holds`. */
export function holds(ledger: Ledger, { lease, host }: { lease: string; host: string }): Held {
  const live = ledger.leases.of(lease, host);
  if (live === undefined) return whyNotHeld(ledger, lease, host);
  ledger.hosts.heard(host, ledger);
  const row = ledger.sql.one<{ owner: string }>("SELECT owner FROM jobs WHERE job = ?", live.job);
  const { jobId, attempt } = live;
  return { kind: "held", jobId, attempt, owner: row?.owner ?? "" };
}

/** The size of an input that the leased job names: see `Store.leasedInput`. */
export function leasedInput(
  ledger: Ledger,
  { lease, host, sha256 }: { lease: string; host: string; sha256: string },
): number | undefined {
  const live = ledger.leases.of(lease, host);
  if (live === undefined) return undefined;
  return ledger.sql.one<{ bytes: number }>(
    `SELECT bytes FROM job_inputs JOIN jobs USING (job) JOIN inputs USING (owner, sha256)
     WHERE job_inputs.job = ? AND job_inputs.sha256 = ?`,
    live.job,
    sha256,
  )?.bytes;
}

/** Why a lease that is not live does not hold. An attempt that ended is as good as fenced for who would go on with it. */
export function whyNotHeld({ sql, copiedAt }: Ledger, lease: string, host: string): NotHeld {
  const row = sql.one<{ state: string; why: string | null; host: string }>(
    "SELECT state, why, host FROM attempts WHERE lease = ?",
    lease,
  );
  if (row?.host === host)
    return { kind: "fenced", why: row.why ?? "the attempt has its verdict already" };
  if (row !== undefined || copiedAt === undefined) return { kind: "unknown" };
  const why = `this service goes on from a backup made at ${copiedAt}, which does not know the lease: it was given later, or is long over`;
  return { kind: "fenced", why };
}

const ORDER = Object.keys(NEXT_PHASES);

/** Phases pass between two renewals, so some may be left out; going back is a late repeat. */
function enter(ledger: Ledger, live: LiveLease, phase: LiveLease["phase"]): void {
  if (ORDER.indexOf(phase) <= ORDER.indexOf(live.phase)) return;
  const { sql } = ledger;
  const { job, attempt, host } = live;
  sql.run("UPDATE attempts SET phase = ? WHERE job = ? AND number = ?", phase, job, attempt);
  sql.run("UPDATE jobs SET state = 'running', phase = ? WHERE job = ?", phase, job);
  note(ledger, job, { kind: "phase", attempt, host, phase, says: phase });
  live.phase = phase;
}

function pin(ledger: Ledger, live: LiveLease, image: NonNullable<RenewRequest["image"]>): void {
  const { job, attempt, host } = live;
  const pinned = ledger.sql.run(
    "UPDATE jobs SET pinned_digest = ? WHERE job = ? AND pinned_digest IS NULL AND image_name = ?",
    image.digest,
    job,
    image.name,
  );
  if (pinned === 0) return;
  const says = `image pinned to ${image.name}@sha256:${image.digest}`;
  note(ledger, job, { kind: "pinned", attempt, host, says });
}

import type { FaultCode } from "#job/fault.ts";
import type { WireVerdict } from "#protocol/verdict.ts";
import { note } from "./chronicle.ts";
import { followClock } from "./follow-clock.ts";
import type { Ledger } from "./ledger.ts";
import type { LiveLease } from "./live-leases.ts";
import type { Row } from "./sql.ts";

type JobRow = Row & {
  owner: string;
  attempts: number;
  uncounted: number;
  attempts_max: number;
  cancel: string | null;
  class: number;
  priority: number;
  submitted_at: number;
  queue_seconds: number | null;
  pinned_digest: string | null;
};

/** How an attempt is over: with its host's verdict, or fenced because its lease was lost. */
export type End =
  | { readonly state: "ended"; readonly verdict: WireVerdict }
  | { readonly state: "fenced"; readonly verdict: WireVerdict; readonly why: string };

/**
 * Ends an attempt and decides what becomes of its job; says whether the job is over. The one place from which a job is
 * queued again:
 *
 *   passed, failed, timed-out, cancelled   the job is over
 *   broken                                 over when it is cancelled, when its fault forbids another attempt, or when all
 *                                          attempts are made; else queued again, to avoid the host if the fault says so.
 *                                          A restart of a daemon does not count
 */
export function endAttempt(ledger: Ledger, live: LiveLease, end: End): "settled" | "queued" {
  const { job, attempt, host, lease } = live;
  const { verdict } = end;
  ledger.sql.run(
    `UPDATE attempts SET state = ?, phase = ?, ended_at = ?, verdict = ?, fault = ?, why = ? WHERE job = ? AND number = ?`,
    end.state,
    end.state === "ended" ? "reported" : live.phase,
    ledger.wallMs,
    JSON.stringify(verdict),
    verdict.fault?.code ?? null,
    end.state === "fenced" ? end.why : null,
    job,
    attempt,
  );
  note(ledger, job, {
    kind: end.state,
    attempt,
    host,
    verdict: verdict.kind,
    ...(verdict.fault === undefined ? {} : { fault: verdict.fault.code }),
    says: `attempt ${attempt} on ${host}: ${end.state === "fenced" ? end.why : inWords(verdict)}`,
  });
  ledger.leases.remove(lease);
  return conclude(ledger, live, verdict);
}

/** The longest reason that is shown with a job; all of it is kept with the attempt. */
const WHY_CHARACTERS_MAX = 8000;

/** Ends a job that is queued. */
export function finishQueued(
  ledger: Ledger,
  job: number,
  verdict: WireVerdict["kind"],
  why: string,
): void {
  ledger.queue.remove(job);
  finish(ledger, job, verdict, why);
}

/** Ends a job that is not queued and has no live attempt. */
function finish(
  ledger: Ledger,
  job: number,
  verdict: WireVerdict["kind"],
  why: string | undefined,
): void {
  ledger.sql.run(
    "UPDATE jobs SET state = 'settled', phase = NULL, verdict = ?, why = ?, settled_at = ? WHERE job = ?",
    verdict,
    why?.slice(0, WHY_CHARACTERS_MAX).toWellFormed() ?? null,
    ledger.wallMs,
    job,
  );
  const says = why === undefined || why === "" ? verdict : `${verdict}: ${why}`;
  note(ledger, job, { kind: "settled", verdict, says });
}

function conclude(ledger: Ledger, live: LiveLease, verdict: WireVerdict): "settled" | "queued" {
  const { job } = live;
  if (verdict.kind !== "broken") {
    finish(ledger, job, verdict.kind, verdict.why);
    return "settled";
  }
  const found = ledger.sql.one<JobRow>(
    `SELECT owner, attempts, uncounted, attempts_max, cancel, class, priority, submitted_at, queue_seconds, pinned_digest
     FROM jobs WHERE job = ?`,
    job,
  );
  if (found === undefined) throw new Error(`no job ${job}`);
  const row = { ...found, uncounted: found.uncounted + Number(isUncounted(found, verdict)) };
  const retry = verdict.fault?.retry ?? "never";
  if (row.cancel !== null) finish(ledger, job, "cancelled", row.cancel);
  else if (retry === "never") finish(ledger, job, "broken", inWords(verdict));
  else if (row.attempts - row.uncounted >= row.attempts_max)
    finish(ledger, job, "broken", allMade(row, verdict));
  else {
    queueAgain(ledger, live, row, retry === "elsewhere");
    return "queued";
  }
  return "settled";
}

function queueAgain(ledger: Ledger, live: LiveLease, row: JobRow, isElsewhere: boolean): void {
  const { job, host } = live;
  const before = ledger.queue.requirementOf(row.class);
  const avoid = isElsewhere ? [...new Set([...before.avoid, host])].sort() : before.avoid;
  const image =
    row.pinned_digest === null
      ? before.image
      : { name: before.image.name, digest: row.pinned_digest };
  const id = ledger.queue.classOf({ ...before, image, avoid });
  followClock(ledger);
  const limitAt = row.queue_seconds === null ? undefined : ledger.wallMs + row.queue_seconds * 1000;
  ledger.sql.run(
    "UPDATE jobs SET state = 'queued', phase = NULL, class = ?, uncounted = ? WHERE job = ?",
    id,
    row.uncounted,
    job,
  );
  ledger.queue.add({
    job,
    owner: row.owner,
    class: id,
    priority: row.priority,
    submittedAt: row.submitted_at,
    limitAt,
  });
  if (id !== row.class) ledger.queue.dropClass(row.class);
  const where = isElsewhere ? `, on another host than ${avoid.join(", ")} if there is one` : "";
  const left = row.attempts_max - (row.attempts - row.uncounted);
  const says = `queued for attempt ${row.attempts + 1}, ${left} left${where}`;
  note(ledger, job, { kind: "queued", says });
}

/** A restart of ours is not the job's loss, but a daemon that does nothing but restart must not hold a job for ever. */
function isUncounted({ uncounted }: JobRow, { fault }: WireVerdict): boolean {
  return fault?.code === ("host-restarted" satisfies FaultCode) && uncounted < UNCOUNTED_MAX;
}

const UNCOUNTED_MAX = 10;

function allMade({ attempts_max }: JobRow, verdict: WireVerdict): string {
  return attempts_max === 1
    ? inWords(verdict)
    : `all ${attempts_max} attempts broke, the last one: ${inWords(verdict)}`;
}

function inWords({ kind, why, fault }: WireVerdict): string {
  if (fault !== undefined) return `${fault.code}: ${fault.message}`;
  return why === undefined || why === "" ? kind : `${kind}: ${why}`;
}

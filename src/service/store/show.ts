import type { AttemptView, JobDetail, JobEvent, JobSummary } from "#protocol/job-view.ts";
import type { WireArtifact } from "#protocol/verdict.ts";
import type { WireJob } from "#protocol/wire-job.ts";
import { whyWaiting } from "#service/matching/why-waiting.ts";
import type { JobGlance } from "#service/ports.ts";
import type { Ledger } from "./ledger.ts";
import type { Row } from "./sql.ts";
import { eventOf, present, timeOf } from "./views.ts";

/** How far a job's place in the queue is counted. */
const POSITION_MAX = 1000;
const EVENTS_MAX = 1000;
const ARTIFACTS_MAX = 10_000;

/** A row of `jobs`, as far as views need it. */
export type JobRow = Row & {
  job: number;
  id: string;
  owner: string;
  name: string | null;
  image: string;
  image_name: string;
  priority: number;
  labels: string;
  class: number;
  attempts_max: number;
  queue_seconds: number | null;
  submitted_at: number;
  state: string;
  phase: string | null;
  host: string | null;
  attempts: number;
  started_at: number | null;
  settled_at: number | null;
  verdict: string | null;
  why: string | null;
  cancel: string | null;
  pinned_digest: string | null;
  files_gone_at: number | null;
};

type GlanceRow = Pick<JobRow, "job" | "id" | "owner" | "state" | "attempts" | "files_gone_at">;

type AttemptRow = Row & {
  number: number;
  host: string;
  phase: string;
  state: string;
  leased_at: number;
  ended_at: number | null;
  verdict: string | null;
  why: string | null;
  lease: string;
  body: string | null;
};

/** All about a job: see `Store.show`. */
export function show(ledger: Ledger, id: string): JobDetail | undefined {
  const { sql } = ledger;
  const row = sql.one<JobRow>("SELECT * FROM jobs WHERE id = ?", id);
  if (row === undefined) return undefined;
  const spec = sql.one<{ body: string }>("SELECT body FROM specs WHERE job = ?", row.job);
  const isQueued = row.state === "queued";
  return {
    ...summaryOf(row),
    job: JSON.parse(spec?.body ?? "null") as WireJob,
    attemptList: attemptsOf(ledger, row.job),
    ...present({
      queueLimitSeconds: row.queue_seconds,
      why: row.why,
      cancel: row.cancel,
      filesRemovedAt: row.files_gone_at === null ? null : timeOf(row.files_gone_at),
      waiting: isQueued ? waitingOf(ledger, row) : null,
      pinned:
        row.pinned_digest === null ? null : { name: row.image_name, digest: row.pinned_digest },
    }),
  };
}

/** The little of a job that decides: see `Store.glance`. */
export function glance({ sql }: Ledger, id: string): JobGlance | undefined {
  const row = sql.one<GlanceRow>(
    "SELECT job, id, owner, state, attempts, files_gone_at FROM jobs WHERE id = ?",
    id,
  );
  if (row === undefined) return undefined;
  const { job, files_gone_at: goneAt, ...rest } = row;
  const attempts = sql.all<{ number: number; state: string }>(
    "SELECT number, state FROM attempts WHERE job = ? ORDER BY number",
    job,
  );
  return {
    ...rest,
    state: row.state as JobGlance["state"],
    attemptList: attempts.map(({ number, state }) => ({
      number,
      state: state as AttemptView["state"],
    })),
    ...present({ filesRemovedAt: goneAt === null ? null : timeOf(goneAt) }),
  };
}

/** A job in a list. */
export function summaryOf(row: JobRow): JobSummary {
  return {
    id: row.id,
    owner: row.owner,
    image: row.image,
    priority: row.priority,
    labels: JSON.parse(row.labels) as string[],
    state: row.state as JobSummary["state"],
    attempts: row.attempts,
    attemptsMax: row.attempts_max,
    submittedAt: timeOf(row.submitted_at),
    ...present({
      name: row.name,
      phase: row.phase as JobSummary["phase"] | null,
      host: row.host,
      verdict: row.verdict as JobSummary["verdict"] | null,
      startedAt: row.started_at === null ? null : timeOf(row.started_at),
      settledAt: row.settled_at === null ? null : timeOf(row.settled_at),
    }),
  };
}

/** A job's history: see `Store.events`. */
export function events(
  { sql }: Ledger,
  { id, after }: { id: string; after: number },
): readonly JobEvent[] | undefined {
  const job = sql.one<{ job: number }>("SELECT job FROM jobs WHERE id = ?", id)?.job;
  if (job === undefined) return undefined;
  return sql
    .all(
      `SELECT * FROM events WHERE job = ? AND number > ? ORDER BY number LIMIT ${EVENTS_MAX}`,
      job,
      after,
    )
    .map(eventOf);
}

/** What an attempt brought home: see `Store.artifacts`. */
export function artifacts(
  { sql }: Ledger,
  { id, attempt }: { id: string; attempt: number },
): readonly WireArtifact[] | undefined {
  const job = sql.one<{ job: number }>(
    "SELECT job FROM jobs JOIN attempts USING (job) WHERE id = ? AND number = ?",
    id,
    attempt,
  )?.job;
  if (job === undefined) return undefined;
  return sql
    .all<Row & WireArtifact>(
      `SELECT path, bytes, sha256 FROM artifacts WHERE job = ? AND attempt = ? ORDER BY path LIMIT ${ARTIFACTS_MAX}`,
      job,
      attempt,
    )
    .map(({ path, bytes, sha256 }) => ({ path, bytes, sha256 }));
}

function waitingOf(ledger: Ledger, { job, class: id }: JobRow): NonNullable<JobDetail["waiting"]> {
  const { queue, hosts } = ledger;
  return whyWaiting(queue.requirementOf(id), hosts.known(), queue.positionOf(job, POSITION_MAX));
}

function attemptsOf({ sql, leases }: Ledger, job: number): AttemptView[] {
  const rows = sql.all<AttemptRow>(
    `SELECT number, host, phase, state, leased_at, ended_at, verdict, why, lease, body
     FROM attempts LEFT JOIN reports ON reports.job = attempts.job AND reports.attempt = attempts.number
     WHERE attempts.job = ? ORDER BY number`,
    job,
  );
  return rows.map((row) => ({
    number: row.number,
    host: row.host,
    phase: row.phase as AttemptView["phase"],
    state: row.state as AttemptView["state"],
    leasedAt: timeOf(row.leased_at),
    ...present({
      endedAt: row.ended_at === null ? null : timeOf(row.ended_at),
      verdict: parsed<NonNullable<AttemptView["verdict"]>>(row.verdict),
      report: parsed<NonNullable<AttemptView["report"]>>(row.body),
      why: row.why,
      spooled: leases.of(row.lease, row.host)?.spooled,
    }),
  }));
}

function parsed<T>(json: string | null): T | null {
  return json === null ? null : (JSON.parse(json) as T);
}

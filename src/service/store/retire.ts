import type { JobSummary } from "#protocol/job-view.ts";
import type { Ages, Retired } from "#service/ports.ts";
import { note } from "./chronicle.ts";
import { compact } from "./compact.ts";
import { staleInputs } from "./inputs.ts";
import type { Ledger } from "./ledger.ts";

type Verdict = NonNullable<JobSummary["verdict"]>;

/** Rows of histories and lists of artifacts that one call removes: a few milliseconds of the one thread that writes. */
const ROWS_MAX = 2000;

/** Jobs, inputs and tokens that one call takes, of each: measured with 50,000 jobs, 2 ms in the middle and 8 at the 99th percentile. */
const AT_ONCE = 20;

/**
 * Lets leave what is old: see `Store.retire`. A job goes in two steps: first its files are nobody's (`files_gone_at`), and whoever
 * called removes them; then, when the job is old as well, its rows. A crash in between leaves files that the next comparison of disk
 * and database finds, never a job without the files that it names.
 */
export function retire(ledger: Ledger, ages: Ages): Retired {
  forgetUploads(ledger, since(ledger, ages.partSeconds));
  return {
    files: oldFiles(ledger, ages),
    jobs: oldJobs(ledger, since(ledger, ages.jobSeconds)),
    hosts: ledger.hosts.retire(since(ledger, ages.hostSeconds), ledger.leases.byHost()),
    tokens: oldTokens(ledger, since(ledger, ages.tokenSeconds)),
    inputs: staleInputs(ledger, { before: since(ledger, ages.inputSeconds), most: AT_ONCE }),
    database: compact(ledger),
  };
}

/** The files of the jobs that were settled first leave, whatever their age: see `Store.makeRoom`. */
export function makeRoom(ledger: Ledger, most: number): readonly string[] {
  const oldest = VERDICTS.flatMap((verdict) => settledBefore(ledger, verdict, FOREVER, most));
  const chosen = oldest.sort((a, b) => a.settled_at - b.settled_at).slice(0, most);
  return letFilesGo(ledger, chosen, "its logs and artifacts were removed to make room");
}

/** Which of these jobs have files that are theirs: see `Store.withFiles`. */
export function withFiles({ sql }: Ledger, ids: readonly string[]): readonly string[] {
  return sql
    .all<{ id: string }>(
      "SELECT id FROM jobs WHERE id IN (SELECT value FROM json_each(?)) AND files_gone_at IS NULL",
      JSON.stringify(ids),
    )
    .map(({ id }) => id);
}

const VERDICTS = ["passed", "failed", "timed-out", "cancelled", "broken"] as const;

/** Later than any time that the database has. */
const FOREVER = Number.MAX_SAFE_INTEGER;

function since({ wallMs }: Ledger, seconds: number): number {
  return wallMs - seconds * 1000;
}

type OldJob = { job: number; id: string; settled_at: number };

function settledBefore(
  { sql }: Ledger,
  verdict: Verdict,
  before: number,
  most: number,
): readonly OldJob[] {
  return sql.all<OldJob>(
    `SELECT job, id, settled_at FROM jobs WHERE verdict = ? AND verdict IS NOT NULL AND files_gone_at IS NULL
       AND settled_at < ? ORDER BY settled_at LIMIT ?`,
    verdict,
    before,
    most,
  );
}

function oldFiles(ledger: Ledger, { fileSeconds }: Ages): readonly string[] {
  return VERDICTS.flatMap((verdict) => {
    const seconds = fileSeconds[verdict];
    const old = settledBefore(ledger, verdict, since(ledger, seconds), AT_ONCE);
    const days = Math.floor(seconds / 86_400);
    return letFilesGo(ledger, old, `its logs and artifacts were removed after ${days} days`);
  });
}

function letFilesGo(ledger: Ledger, old: readonly OldJob[], says: string): readonly string[] {
  for (const { job } of old) {
    ledger.sql.run("UPDATE jobs SET files_gone_at = ? WHERE job = ?", ledger.wallMs, job);
    note(ledger, job, { kind: "removed", says });
  }
  return old.map(({ id }) => id);
}

/** Removes jobs whose files are gone, and returns how many. Long lists go piece by piece, in several calls. */
function oldJobs(ledger: Ledger, before: number): number {
  const { sql, queue } = ledger;
  const old = sql.all<{ job: number; class: number }>(
    `SELECT job, class FROM jobs WHERE files_gone_at IS NOT NULL AND settled_at < ? ORDER BY settled_at LIMIT ${AT_ONCE}`,
    before,
  );
  let left = ROWS_MAX;
  let removed = 0;
  for (const { job, class: id } of old) {
    left -= sql.run(
      `DELETE FROM artifacts WHERE (job, attempt, path) IN
         (SELECT job, attempt, path FROM artifacts WHERE job = ? LIMIT ?)`,
      job,
      left,
    );
    if (left <= 0) break;
    // At most some hundred more rows go with it: events, attempts, reports, inputs.
    sql.run("DELETE FROM jobs WHERE job = ?", job);
    queue.dropClass(id);
    left -= ROWS_OF_JOB;
    removed += 1;
    if (left <= 0) break;
  }
  return removed;
}

/** What a job without its artifacts counts for. */
const ROWS_OF_JOB = 40;

/** What was never finished counts for its owner no longer; its file leaves by its own age. */
function forgetUploads({ sql }: Ledger, before: number): void {
  sql.run(
    `DELETE FROM uploads WHERE (owner, sha256) IN
       (SELECT owner, sha256 FROM uploads WHERE touched_at < ? ORDER BY touched_at LIMIT ${AT_ONCE})`,
    before,
  );
}

function oldTokens({ sql }: Ledger, before: number): number {
  return sql.run(
    `DELETE FROM tokens WHERE id IN
       (SELECT id FROM tokens WHERE revoked_at < ? ORDER BY revoked_at LIMIT ${AT_ONCE})`,
    before,
  );
}

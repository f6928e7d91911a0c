import type { DatabaseSync } from "node:sqlite";
import { expect } from "vitest";
import type { Told } from "./store-storm.ts";

/** Each query finds what must not be. */
const NEVER = {
  "two live attempts of one job":
    "SELECT job FROM attempts WHERE state = 'live' GROUP BY job HAVING count(*) > 1",
  "one lease of two attempts": "SELECT lease FROM attempts GROUP BY lease HAVING count(*) > 1",
  "a queued job that is not in the queue, or the other way round":
    "SELECT id FROM jobs WHERE (state = 'queued') <> (job IN (SELECT job FROM queue))",
  "a queued job in a class that is not its own":
    "SELECT id FROM jobs JOIN queue USING (job) WHERE jobs.class <> queue.class OR rank <> -priority",
  "a job at work without a live attempt, or the other way round": `SELECT id FROM jobs
     WHERE (state IN ('leased', 'running')) <> (job IN (SELECT job FROM attempts WHERE state = 'live'))`,
  "a settled job without a verdict, or the other way round":
    "SELECT id FROM jobs WHERE (state = 'settled') <> (verdict IS NOT NULL)",
  "more attempts than allowed": `SELECT id FROM jobs WHERE attempts_max <
     (SELECT count(*) FROM attempts WHERE attempts.job = jobs.job AND fault IS NOT 'host-restarted')`,
  "a request that led to two leases":
    "SELECT request FROM attempts GROUP BY host, request HAVING count(*) > 1",
  "attempts that are not counted from 1 on": `SELECT id FROM jobs WHERE attempts <> (SELECT count(*) FROM attempts
     WHERE attempts.job = jobs.job AND number BETWEEN 1 AND jobs.attempts)`,
  "a live attempt that is not the last": `SELECT id FROM jobs JOIN attempts USING (job)
     WHERE attempts.state = 'live' AND number <> attempts`,
  "a job with two verdicts, or a settled one with none in its history": `SELECT id FROM jobs
     WHERE (state = 'settled') <> (SELECT count(*) FROM events WHERE events.job = jobs.job AND kind = 'settled')`,
  "an end of the history that does not explain the state": `SELECT id FROM jobs WHERE state <> (
     SELECT CASE kind WHEN 'submitted' THEN 'queued' WHEN 'phase' THEN 'running' ELSE kind END FROM events
     WHERE events.job = jobs.job AND kind NOT IN ('cancel', 'pinned', 'removed') ORDER BY number DESC LIMIT 1)`,
  "a verdict that differs from the history's": `SELECT id FROM jobs JOIN events USING (job)
     WHERE kind = 'settled' AND events.verdict <> jobs.verdict`,
  "a gap in a history": `SELECT id FROM jobs WHERE (SELECT count(*) FROM events WHERE events.job = jobs.job) <>
     (SELECT max(number) FROM events WHERE events.job = jobs.job)`,
  "an attempt without its beginning in the history": `SELECT lease FROM attempts WHERE NOT EXISTS (SELECT 1 FROM events
     WHERE events.job = attempts.job AND kind = 'leased' AND events.attempt = attempts.number)`,
  "an attempt that is over, without its end in the history, or with two": `SELECT lease FROM attempts
     WHERE (state <> 'live') <> (SELECT count(*) FROM events
       WHERE events.job = attempts.job AND kind IN ('ended', 'fenced') AND events.attempt = attempts.number)`,
  "a queue that counts for another owner":
    "SELECT id FROM jobs JOIN queue USING (job) WHERE jobs.owner <> queue.owner",
  "files that left before their job was over":
    "SELECT id FROM jobs WHERE files_gone_at IS NOT NULL AND state <> 'settled'",
  "a requirement that no job has":
    "SELECT key FROM requirements WHERE class NOT IN (SELECT class FROM jobs)",
  "something that hangs in the air": "SELECT * FROM pragma_foreign_key_check",
} as const;

/** Fails when the store breaks a promise; `told` is what its callers were told so far. */
export function checkInvariants(database: DatabaseSync, told: Told): void {
  for (const [what, query] of Object.entries(NEVER)) {
    expect(database.prepare(query).all(), what).toEqual([]);
  }
  const jobs = database.prepare("SELECT id, attempts_max FROM jobs").all();
  expect(new Set(jobs.map(({ id }) => id)), "a job was lost").toEqual(new Set(told.jobs.keys()));
  for (const { lease, state, verdict } of database
    .prepare("SELECT lease, state, verdict FROM attempts")
    .all()) {
    const said = told.verdicts.get(String(lease));
    if (said !== undefined) {
      expect(state, `${lease} was settled`).toBe("ended");
      expect(JSON.parse(String(verdict)).kind, `${lease}: the first report counts`).toBe(said);
    } else if (told.fenced.has(String(lease))) {
      expect(state, `${lease} was fenced`).toBe("fenced");
    }
  }
}

import type { JobFilter, JobPage } from "#service/ports.ts";
import type { Ledger } from "./ledger.ts";
import { type JobRow, summaryOf } from "./show.ts";

/** What a filter adds to the search; each has an index but for `state`, where only open jobs do. */
const CONDITIONS = {
  state: "state = ?",
  verdict: "verdict = ?",
  owner: "owner = ?",
  name: "name = ?",
  image: "image_name = ?",
} as const satisfies Partial<Record<keyof JobFilter, string>>;

/** A page of jobs, newest first: see `Store.list`. The cursor is the number of the last job of the page before. */
export function list({ sql }: Ledger, filter: JobFilter): JobPage {
  const keys = Object.keys(CONDITIONS) as (keyof typeof CONDITIONS)[];
  const given = keys.filter((key) => filter[key] !== undefined);
  const before = /^[0-9]{1,15}$/.test(filter.cursor ?? "") ? Number(filter.cursor) : MAX;
  const conditions = [
    "job < ?",
    ...given.map((key) => CONDITIONS[key]),
    // In these words, so that SQLite takes the index of open jobs.
    ...(filter.state !== undefined && filter.state !== "settled" ? ["state <> 'settled'"] : []),
  ];
  const rows = sql.all<JobRow>(
    `SELECT * FROM jobs WHERE ${conditions.join(" AND ")} ORDER BY job DESC LIMIT ?`,
    before,
    ...given.map((key) => filter[key] ?? null),
    filter.limit + 1,
  );
  const page = rows.slice(0, filter.limit);
  const last = page.at(-1);
  return {
    jobs: page.map(summaryOf),
    ...(rows.length > filter.limit && last !== undefined ? { next: String(last.job) } : {}),
  };
}

const MAX = Number.MAX_SAFE_INTEGER;

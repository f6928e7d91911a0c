import type { JobEvent } from "#protocol/job-view.ts";
import type { Ledger } from "./ledger.ts";

/** The longest sentence in an event; faults may say more, and that is kept with the attempt. */
const SAYS_CHARACTERS_MAX = 1000;

/** Adds a line to a job's history. */
export function note(ledger: Ledger, job: number, event: Omit<JobEvent, "number" | "at">): void {
  ledger.sql.run(
    `INSERT INTO events (job, number, at, kind, attempt, host, phase, verdict, fault, says)
     VALUES (?1, (SELECT coalesce(max(number), 0) + 1 FROM events WHERE job = ?1), ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)`,
    job,
    ledger.wallMs,
    event.kind,
    event.attempt ?? null,
    event.host ?? null,
    event.phase ?? null,
    event.verdict ?? null,
    event.fault ?? null,
    event.says.slice(0, SAYS_CHARACTERS_MAX).toWellFormed(),
  );
}

import type { VerdictReport } from "#protocol/verdict.ts";
import type { Settled } from "#service/ports.ts";
import { endAttempt } from "./conclude.ts";
import type { Ledger } from "./ledger.ts";
import type { LiveLease } from "./live-leases.ts";
import { whyNotHeld } from "./renew.ts";

/** Takes a verdict: see `Store.settle`. */
export function settle(
  ledger: Ledger,
  { lease, host, report }: { lease: string; host: string; report: VerdictReport },
): Settled {
  const live = ledger.leases.of(lease, host);
  if (live === undefined) return settledBefore(ledger, lease, host);
  ledger.hosts.heard(host, ledger);
  const job = endAttempt(ledger, live, { state: "ended", verdict: report.verdict });
  keepReport(ledger, live, report);
  return { kind: "taken", job };
}

/** A repeat hears what came of the attempt: it was the job's last one, or another one followed or is to follow. */
function settledBefore(ledger: Ledger, lease: string, host: string): Settled {
  const row = ledger.sql.one<{ number: number; attempts: number; state: string }>(
    `SELECT number, attempts, jobs.state FROM attempts JOIN jobs USING (job)
     WHERE lease = ? AND attempts.host = ? AND attempts.state = 'ended'`,
    lease,
    host,
  );
  if (row === undefined) return whyNotHeld(ledger, lease, host);
  const isOver = row.state === "settled" && row.number === row.attempts;
  return { kind: "taken", job: isOver ? "settled" : "queued" };
}

function keepReport({ sql }: Ledger, { job, attempt }: LiveLease, report: VerdictReport): void {
  const { verdict: _, artifacts, ...rest } = report;
  const body = JSON.stringify(rest);
  sql.run("INSERT INTO reports (job, attempt, body) VALUES (?, ?, ?)", job, attempt, body);
  for (const { path, bytes, sha256 } of artifacts) {
    sql.run(
      "INSERT OR IGNORE INTO artifacts (job, attempt, path, bytes, sha256) VALUES (?, ?, ?, ?, ?)",
      job,
      attempt,
      path,
      bytes,
      sha256,
    );
  }
}

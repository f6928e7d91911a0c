import type { JobDetail } from "#protocol/job-view.ts";
import { note } from "./chronicle.ts";
import { finishQueued } from "./conclude.ts";
import type { Ledger } from "./ledger.ts";
import { show } from "./show.ts";

/** Cancels a job: see `Store.cancel`. */
export function cancel(
  ledger: Ledger,
  { id, why }: { id: string; why: string },
): JobDetail | undefined {
  const row = ledger.sql.one<{ job: number; state: string; cancel: string | null }>(
    "SELECT job, state, cancel FROM jobs WHERE id = ?",
    id,
  );
  if (row === undefined) return undefined;
  if (row.state !== "settled" && row.cancel === null) {
    ledger.sql.run("UPDATE jobs SET cancel = ? WHERE job = ?", why, row.job);
    note(ledger, row.job, { kind: "cancel", says: why });
    if (row.state === "queued") finishQueued(ledger, row.job, "cancelled", why);
  }
  return show(ledger, id);
}

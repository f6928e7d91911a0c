import type { Requirement } from "#service/matching/requirement.ts";
import { StoreError } from "#service/ports.ts";
import { COMMANDS, type CommandName } from "./commands.ts";
import type { Ledger, Now } from "./ledger.ts";

/** Commands that share one transaction, and so one write to the disk. */
export type Batch = Now & {
  readonly commands: readonly { readonly kind: CommandName; readonly input: unknown }[];
};

/** What came of one command. */
type Answer =
  | { readonly value: unknown }
  | { readonly error: { readonly code: StoreError["code"]; readonly message: string } };

/** What came of a batch; all that its answers promise is on disk. */
export type BatchReply = {
  readonly answers: readonly Answer[];
  /** What jobs that were queued need of a host. */
  readonly queued: readonly Requirement[];
};

/**
 * Runs commands one after the other in one transaction. Each has a savepoint of its own: one that fails changes nothing and
 * spares its neighbours. When the transaction itself fails, all have failed.
 */
export function runBatch(ledger: Ledger, { commands, ...now }: Batch): BatchReply {
  const { sql, queue } = ledger;
  ledger.tellTime(now);
  try {
    sql.run("BEGIN");
    const answers = commands.map(({ kind, input }) => runOne(ledger, kind, input));
    sql.run("COMMIT");
    return { answers, queued: queue.takeNews() };
  } catch (error) {
    if (sql.isInTransaction) sql.run("ROLLBACK");
    ledger.reload();
    queue.takeNews();
    return { answers: commands.map(() => failure(error)), queued: [] };
  }
}

function runOne(ledger: Ledger, kind: CommandName, input: unknown): Answer {
  const { sql } = ledger;
  sql.run("SAVEPOINT command");
  try {
    const run = COMMANDS[kind] as (ledger: Ledger, input: unknown) => unknown;
    const value = run(ledger, input);
    sql.run("RELEASE command");
    return { value };
  } catch (error) {
    // A full disk, for one, ends the whole transaction: https://www.sqlite.org/lang_transaction.html
    if (!sql.isInTransaction) throw error;
    sql.run("ROLLBACK TO command");
    sql.run("RELEASE command");
    ledger.reload();
    return failure(error);
  }
}

/** SQLITE_FULL, see https://www.sqlite.org/rescode.html. */
const SQLITE_FULL = 13;

function failure(error: unknown): Answer {
  if (error instanceof StoreError) return { error: { code: error.code, message: error.message } };
  const { errcode, message } = error as { errcode?: number; message?: string };
  const code = errcode === SQLITE_FULL ? "full" : "failed";
  return { error: { code, message: message ?? String(error) } };
}

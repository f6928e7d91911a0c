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
 * Runs commands one after the other in one transaction. One that fails changes nothing and spares its neighbours; when the
 * transaction itself fails, all have failed.
 *
 * A savepoint for each command has SQLite copy every page that the command is the first to change, which takes a tenth of the
 * time, and commands hardly ever fail. So the batch runs without; when one fails, all is taken back and done again with them.
 */
export function runBatch(ledger: Ledger, { commands, ...now }: Batch): BatchReply {
  ledger.tellTime(now);
  try {
    return transaction(ledger, () => commands.map((command) => runOne(ledger, command)));
  } catch {
    // Whose fault it was shows now.
  }
  try {
    return transaction(ledger, () => commands.map((command) => runApart(ledger, command)));
  } catch (error) {
    return { answers: commands.map(() => failure(error)), queued: [] };
  }
}

function transaction(ledger: Ledger, work: () => readonly Answer[]): BatchReply {
  const { sql, queue } = ledger;
  try {
    sql.run("BEGIN");
    const answers = work();
    sql.run("COMMIT");
    return { answers, queued: queue.takeNews() };
  } catch (error) {
    if (sql.isInTransaction) sql.run("ROLLBACK");
    ledger.reload();
    queue.takeNews();
    throw error;
  }
}

type Command = Batch["commands"][number];

function runOne(ledger: Ledger, { kind, input }: Command): Answer {
  const run = COMMANDS[kind] as (ledger: Ledger, input: unknown) => unknown;
  return { value: run(ledger, input) };
}

function runApart(ledger: Ledger, command: Command): Answer {
  const { sql } = ledger;
  sql.run("SAVEPOINT command");
  try {
    const answer = runOne(ledger, command);
    sql.run("RELEASE command");
    return answer;
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

import { DatabaseSync } from "node:sqlite";
import { type Clock, StoreError } from "#service/ports.ts";
import type { CommandInput, CommandName, CommandOutput } from "#service/store/commands.ts";
import type { Line } from "#service/store/commit-line.ts";
import { Ledger } from "#service/store/ledger.ts";
import { MIGRATIONS, migrate, readMigrations } from "#service/store/migrate.ts";
import { type Batch, runBatch } from "#service/store/run-batch.ts";
import { Sql } from "#service/store/sql.ts";
import { SqliteStore } from "#service/store/sqlite-store.ts";
import { tokens } from "#service/store/tokens.ts";

/**
 * The store's own commands over a database in memory, without thread, file and fsync: a store for tests of what stands on
 * it. It cannot drift from the real one; what it does not show is in the tests of the real one.
 */
export class MemoryStore {
  readonly database = new DatabaseSync(":memory:", { enableForeignKeyConstraints: true });
  readonly #clock: Clock;
  readonly #leaseSeconds: number;

  constructor(clock: Clock, leaseSeconds: number) {
    this.#clock = clock;
    this.#leaseSeconds = leaseSeconds;
    migrate(this.database, readMigrations(MIGRATIONS));
  }

  /** The store as it is after a start of the service. */
  open(): SqliteStore {
    const ledger = new Ledger(
      new Sql(this.database),
      { leaseSeconds: this.#leaseSeconds },
      nowOf(this.#clock),
    );
    return new SqliteStore(new InlineLine(ledger, this.#clock), tokens(ledger));
  }
}

/** Each command is a batch of its own, done at once. */
class InlineLine implements Line {
  onQueued: Line["onQueued"] = () => undefined;
  readonly #ledger: Ledger;
  readonly #clock: Clock;
  #isClosed = false;

  constructor(ledger: Ledger, clock: Clock) {
    this.#ledger = ledger;
    this.#clock = clock;
  }

  async ask<K extends CommandName>(kind: K, input: CommandInput<K>): Promise<CommandOutput<K>> {
    if (this.#isClosed) throw new StoreError("lost", "the store is closed");
    const batch: Batch = { ...nowOf(this.#clock), commands: [{ kind, input }] };
    const { answers, queued } = asText(runBatch(this.#ledger, asText(batch)));
    if (queued.length > 0) this.onQueued(queued);
    const [answer] = answers;
    if (answer === undefined || "error" in answer) {
      throw new StoreError(answer?.error.code ?? "failed", answer?.error.message ?? "no answer");
    }
    return answer.value as CommandOutput<K>;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
  }
}

function nowOf(clock: Clock) {
  return { nowMs: clock.monotonicMs(), wallMs: clock.wallMs() };
}

/** What is left of a message after its way to another thread: see `store/store-messages.ts`. */
function asText<T>(message: T): T {
  return JSON.parse(JSON.stringify(message)) as T;
}

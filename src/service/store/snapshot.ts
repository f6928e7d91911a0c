import { DatabaseSync } from "node:sqlite";
import { StoreError } from "#service/ports.ts";
import { MIGRATIONS, readMigrations } from "./migrate.ts";
import { Sql } from "./sql.ts";

/** An attempt whose files the database names. */
export type NamedAttempt = {
  readonly jobId: string;
  readonly attempt: number;
  /** A live attempt's logs may still grow. */
  readonly isLive: boolean;
};

/** A file that the database names, with its length. */
export type NamedFile =
  | { readonly kind: "log"; readonly name: string; readonly bytes: number }
  | { readonly kind: "artifact"; readonly name: string; readonly bytes: number | undefined };

/** An input that the database names. */
export type NamedInput = {
  readonly owner: string;
  readonly sha256: string;
  readonly bytes: number;
};

/** The others that write wait for nobody who reads; a checkpoint may hold up a reader that begins. */
const BUSY_MS = 5000;

/**
 * A copy of a database as it was at one moment, and what it names. The database may be in use: a reader of SQLite's WAL mode sees
 * one state and holds up no writer. The copy says of itself that it is one, so that a service that starts on it knows what it cannot
 * know.
 */
export class Snapshot implements Disposable {
  readonly #database: DatabaseSync;
  readonly #sql: Sql;

  private constructor(database: DatabaseSync) {
    this.#database = database;
    this.#sql = new Sql(database);
  }

  /** Copies the database at `path`, which is there, to a new file, and opens that. Throws `StoreError`. */
  static take(path: string, copy: string, nowMs: number): Snapshot {
    copyDatabase(path, copy);
    const database = new DatabaseSync(copy);
    // What is on its way is not copied, and begins anew.
    database.exec("DELETE FROM uploads");
    const fact = "INSERT OR REPLACE INTO facts (name, value) VALUES ('copied_at', ?)";
    database.prepare(fact).run(new Date(nowMs).toISOString());
    return new Snapshot(database);
  }

  /** Attempts whose jobs have files. */
  attempts(): readonly NamedAttempt[] {
    return this.#sql
      .all<{ id: string; number: number; state: string }>(
        `SELECT id, number, attempts.state FROM attempts JOIN jobs USING (job)
         WHERE files_gone_at IS NULL ORDER BY job, number`,
      )
      .map(({ id, number, state }) => ({ jobId: id, attempt: number, isLive: state === "live" }));
  }

  /** Logs and artifacts that an attempt's report names. */
  filesOf({ jobId, attempt }: NamedAttempt): readonly NamedFile[] {
    const of = "JOIN jobs USING (job) WHERE id = ?1 AND attempt = ?2";
    const logs = this.#sql.all<{ name: string; bytes: number }>(
      `SELECT value ->> 'log' AS name, value ->> 'bytes' AS bytes FROM json_each(
         (SELECT body -> 'logs' FROM reports ${of}))`,
      jobId,
      attempt,
    );
    const artifacts = this.#sql.all<{ name: string; bytes: number | null }>(
      `SELECT sha256 AS name, max(bytes) AS bytes FROM artifacts ${of} GROUP BY sha256
       UNION ALL SELECT body ->> 'screenshot', NULL FROM reports ${of} AND body ->> 'screenshot' IS NOT NULL`,
      jobId,
      attempt,
    );
    return [
      ...logs.map((log) => ({ kind: "log" as const, ...log })),
      ...artifacts.map(({ name, bytes }) => ({
        kind: "artifact" as const,
        name,
        bytes: bytes ?? undefined,
      })),
    ];
  }

  /** All inputs. */
  inputs(): readonly NamedInput[] {
    return this.#sql.all<NamedInput>("SELECT owner, sha256, bytes FROM inputs");
  }

  /** Closes the copy. */
  [Symbol.dispose](): void {
    this.#database.close();
  }
}

function copyDatabase(path: string, copy: string): void {
  using database = new DatabaseSync(path, { timeout: BUSY_MS });
  const version = Number(database.prepare("PRAGMA user_version").get()?.["user_version"]);
  const known = readMigrations(MIGRATIONS).length;
  if (version > known)
    throw new StoreError(
      "newer",
      `the database has schema ${version}, this testbed knows ${known}`,
    );
  if (version < known)
    throw new StoreError(
      "failed",
      `the database has the older schema ${version}: start this testbed's service on it once`,
    );
  database.prepare("VACUUM INTO ?").run(copy);
}

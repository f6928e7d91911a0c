import { DatabaseSync } from "node:sqlite";
import { FileLock } from "#lib/file-lock.ts";
import { StoreError } from "#service/ports.ts";
import { MIGRATIONS, migrate, readMigrations } from "./migrate.ts";

/** Others only read (a backup, a curious admin), and never for long. */
const BUSY_MS = 5000;

/**
 * Settings of the connection. FULL: a commit is on disk when it returns, in WAL mode with one fsync
 * (https://www.sqlite.org/pragma.html#pragma_synchronous). A checkpoint each 16 MiB of log instead of 4: it costs two more fsyncs.
 * The log grows while somebody reads an old state (a backup does); the limit cuts it back after the first checkpoint that
 * reaches its end. Free pages go back to the disk in small steps (`compact.ts`), which has to be said before there is any table.
 */
const SETTINGS = `
  PRAGMA auto_vacuum = INCREMENTAL;
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  PRAGMA foreign_keys = ON;
  PRAGMA wal_autocheckpoint = 4096;
  PRAGMA journal_size_limit = 67108864;
  PRAGMA cache_size = -16384;
`;

/**
 * Opens the database at `path`, makes it when it is missing, and brings its schema up to date. A lock beside it, which dies
 * with its holder, keeps a second service out. Throws `StoreError` taken or newer.
 */
export function openDatabase(path: string): { readonly database: DatabaseSync } & Disposable {
  using stack = new DisposableStack();
  const lock = FileLock.tryTake(`${path}.lock`);
  if (lock === undefined) {
    throw new StoreError("taken", `another service has ${path} open`);
  }
  stack.use(lock);
  const database = new DatabaseSync(path, { timeout: BUSY_MS });
  stack.defer(() => database.close());
  database.exec(SETTINGS);
  // SQLite keeps another mode without an error where shared memory does not work, as on some network file systems.
  const mode = database.prepare("PRAGMA journal_mode").get()?.["journal_mode"];
  if (mode !== "wal") throw new StoreError("failed", `${path} lies where SQLite has no WAL mode`);
  migrate(database, readMigrations(MIGRATIONS));
  const held = stack.move();
  return { database, [Symbol.dispose]: () => held.dispose() };
}

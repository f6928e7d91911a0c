import { lchownSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as delay } from "node:timers/promises";

/**
 * A lock that all our processes on a host share and that dies with its holder, kill -9 included. Node has no call for
 * kernel file locks, but SQLite takes one (fcntl, see https://www.sqlite.org/lockingv3.html) for as long as a
 * transaction is open, on an empty file that is never written.
 */
export class FileLock implements Disposable {
  readonly #database: DatabaseSync;

  private constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /**
   * Takes the lock at `path` (the file is made when missing) or returns undefined when somebody holds it. As root gives the
   * file to the owner of its folder: whoever cannot write it cannot lock it.
   */
  static tryTake(path: string): FileLock | undefined {
    const database = new DatabaseSync(path, { timeout: 0 });
    try {
      database.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
      giveToFolder(path);
      return new FileLock(database);
    } catch (error) {
      database.close();
      if (isBusy(error)) return undefined;
      throw error;
    }
  }

  /** Waits for the lock, asking every 25 ms, until `signal` aborts; then throws the signal's reason. */
  static async take(path: string, signal: AbortSignal): Promise<FileLock> {
    for (;;) {
      signal.throwIfAborted();
      const lock = FileLock.tryTake(path);
      if (lock !== undefined) return lock;
      await delay(25, undefined, { signal });
    }
  }

  /** Gives the lock back. Twice is safe. */
  [Symbol.dispose](): void {
    if (this.#database.isOpen) this.#database.close();
  }
}

function giveToFolder(path: string): void {
  if (process.geteuid?.() !== 0) return;
  const { uid, gid } = statSync(dirname(path));
  if (uid !== 0) lchownSync(path, uid, gid);
}

/** SQLITE_BUSY is 5, see https://www.sqlite.org/rescode.html. */
function isBusy(error: unknown): boolean {
  return (error as { errcode?: number }).errcode === 5;
}

import { createReadStream, fstatSync } from "node:fs";
import { constants, type FileHandle, open, readdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Readable } from "node:stream";
import type { Appended, LogKey, Logs, Span } from "#service/file-ports.ts";
import { filesError, ifThere, makeLastingFolder, sizesIn, sync, writeOrNothing } from "./disk.ts";
import type { Footprint } from "./footprint.ts";
import { IdleFiles } from "./idle-files.ts";
import { logFolder, logPath, shelfOfJob } from "./paths.ts";

/** Logs as files below a folder. Only one process may write there. */
export class LogFiles implements Logs, AsyncDisposable {
  readonly #root: string;
  readonly #footprint: Footprint;
  /** The last append to each log that is being written: they go one after the other. */
  readonly #tails = new Map<string, Promise<unknown>>();
  readonly #listeners = new Map<string, Set<() => void>>();
  readonly #idle = new IdleFiles();

  /** Over a folder that is there; what is written counts in `footprint`. */
  constructor(root: string, footprint: Footprint) {
    this.#root = root;
    this.#footprint = footprint;
  }

  async append(key: LogKey, offset: number, bytes: Uint8Array): Promise<Appended> {
    const path = logPath(this.#root, key);
    const before = this.#tails.get(path) ?? Promise.resolve();
    const turn = before.then(() => this.#appendNow(key, offset, bytes));
    const tail = turn.catch(() => undefined);
    this.#tails.set(path, tail);
    try {
      const appended = await turn;
      for (const listener of this.#listeners.get(path) ?? []) listener();
      return appended;
    } catch (error) {
      throw filesError(error);
    } finally {
      if (this.#tails.get(path) === tail) this.#tails.delete(path);
    }
  }

  async #appendNow(key: LogKey, offset: number, bytes: Uint8Array): Promise<Appended> {
    const path = logPath(this.#root, key);
    const there = await this.#openAgain(path);
    if (there === undefined && offset > 0) return { kind: "wrong-offset", haveBytes: 0 };
    const file = there ?? (await this.#begin(path));
    try {
      const appended = await appendTo(file, offset, bytes);
      if (appended.isNew)
        this.#footprint.add(shelfOfJob(this.#root, "logs", key.jobId), bytes.length);
      await this.#idle.give(path, file);
      return { kind: appended.kind, haveBytes: appended.haveBytes };
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  async #openAgain(path: string): Promise<FileHandle | undefined> {
    const kept = this.#idle.take(path);
    // A log that retention has taken away meanwhile has no name any more.
    if (kept !== undefined && fstatSync(kept.fd).nlink > 0) return kept;
    await kept?.close();
    return await ifThere(open(path, constants.O_RDWR));
  }

  async #begin(path: string): Promise<FileHandle> {
    await makeLastingFolder(this.#root, dirname(path));
    return open(path, constants.O_RDWR | constants.O_CREAT, 0o640);
  }

  async have(key: LogKey): Promise<number> {
    return (await ifThere(stat(logPath(this.#root, key))))?.size ?? 0;
  }

  sizes(jobId: string, attempt: number): Promise<ReadonlyMap<string, number>> {
    return sizesIn(logFolder(this.#root, jobId, attempt), ".log");
  }

  read(key: LogKey, { first, last }: Span): Readable {
    return createReadStream(logPath(this.#root, key), { start: first, end: last });
  }

  async keep(jobId: string, attempt: number): Promise<void> {
    const folder = logFolder(this.#root, jobId, attempt);
    const names = await ifThere(readdir(folder));
    if (names === undefined) return;
    try {
      // A flush on any descriptor of a file flushes what was written through others, too.
      for (const name of names) await sync(join(folder, name));
      await sync(folder);
    } catch (error) {
      throw filesError(error);
    }
  }

  onGrown(key: LogKey, listener: () => void): Disposable {
    const path = logPath(this.#root, key);
    const listeners = this.#listeners.get(path) ?? new Set();
    listeners.add(listener);
    this.#listeners.set(path, listeners);
    return {
      [Symbol.dispose]: () => {
        listeners.delete(listener);
        if (listeners.size === 0) this.#listeners.delete(path);
      },
    };
  }

  /** Closes the files that are kept open for the next piece. Appends still work, and close theirs. Twice is safe. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#idle[Symbol.asyncDispose]();
  }
}

/** `isNew`: it was written. */
async function appendTo(
  file: FileHandle,
  offset: number,
  bytes: Uint8Array,
): Promise<Appended & { readonly isNew: boolean }> {
  // Of an open file it is in memory: a call takes a microsecond, its way through a thread twenty times as long.
  const haveBytes = fstatSync(file.fd).size;
  const endBytes = offset + bytes.length;
  if (offset === haveBytes) {
    await writeOrNothing(file, offset, bytes);
    return { kind: "taken", haveBytes: endBytes, isNew: true };
  }
  const isRepeat = endBytes <= haveBytes && (await hasThere(file, offset, bytes));
  return { kind: isRepeat ? "taken" : "wrong-offset", haveBytes, isNew: false };
}

async function hasThere(file: FileHandle, offset: number, bytes: Uint8Array): Promise<boolean> {
  const there = Buffer.alloc(bytes.length);
  const { bytesRead } = await file.read(there, 0, there.length, offset);
  return bytesRead === bytes.length && there.equals(bytes);
}

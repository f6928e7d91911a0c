import type { FileHandle } from "node:fs/promises";

/** Descriptors that are kept at most; the one that was idle longest is closed for another. */
const FILES_MAX = 64;
/** How long one is kept: a log that is being written gets its next piece within a second or two. */
const IDLE_MS = 3000;

type Idle = { readonly file: FileHandle; readonly timer: NodeJS.Timeout };

/**
 * Files that were written just now and are kept open for the next write: opening and closing takes longer than writing 64 KiB.
 * A file that is in use is not in here, so nothing is closed under its user.
 */
export class IdleFiles implements AsyncDisposable {
  readonly #idle = new Map<string, Idle>();
  #isClosed = false;

  /** The open file of a path, if there is one; it is the caller's until it is given back or closed. */
  take(path: string): FileHandle | undefined {
    const idle = this.#idle.get(path);
    if (idle === undefined) return undefined;
    this.#idle.delete(path);
    clearTimeout(idle.timer);
    return idle.file;
  }

  /** Gives a file back that is still good. */
  async give(path: string, file: FileHandle): Promise<void> {
    if (this.#isClosed || this.#idle.has(path)) return await file.close();
    const timer = setTimeout(() => void this.#close(path), IDLE_MS).unref();
    this.#idle.set(path, { file, timer });
    const [oldest] = this.#idle.keys();
    if (this.#idle.size > FILES_MAX && oldest !== undefined) await this.#close(oldest);
  }

  /** Closes what is here, and from now on what is given back. Twice is safe. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#idle.keys()].map((path) => this.#close(path)));
  }

  /** All that was written is in the kernel's hands by then: closing a local file has nothing left to fail with. */
  async #close(path: string): Promise<void> {
    await this.take(path)
      ?.close()
      .catch(() => undefined);
  }
}

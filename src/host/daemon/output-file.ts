import { open } from "node:fs/promises";
import type { Output } from "#host/narration/screen.ts";

/** Kept of an attempt's output; the steps' own logs have the rest. The service takes no log of more than 1 GiB. */
const BYTES_MAX = 256 * 2 ** 20;

const CUT = "==> the output ends here, it is too long; the logs of the steps have the rest\n";

/**
 * What `testbed run` would print, as a file that grows. Writing waits for nobody; what waits to be written is bounded by the narrator,
 * which leaves guest's text out while `queuedBytes` is high. A disk that is full loses words and nothing else. `onWritten` is called
 * when there is more in the file.
 */
export class OutputFile implements Output {
  readonly #path: string;
  readonly #onWritten: () => void;
  #queue: string[] = [];
  #queuedBytes = 0;
  #writtenBytes = 0;
  #isCut = false;
  #writing: Promise<void> | undefined;

  constructor(path: string, onWritten: () => void) {
    this.#path = path;
    this.#onWritten = onWritten;
  }

  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  write(_fd: number, text: string): void {
    if (this.#isCut || text === "") return;
    this.#isCut = this.#writtenBytes + this.#queuedBytes > BYTES_MAX;
    const line = this.#isCut ? `\n${CUT}` : text;
    this.#queue.push(line);
    this.#queuedBytes += Buffer.byteLength(line);
    this.#writing ??= this.#drain();
  }

  /** Ends a line that an earlier process, which died, has begun. Before anything is written. */
  async freshLine(): Promise<void> {
    const file = await open(this.#path, "r").catch(() => undefined);
    if (file === undefined) return;
    await using _ = file;
    const { size } = await file.stat();
    const { buffer, bytesRead } = await file.read(Buffer.alloc(1), 0, 1, Math.max(0, size - 1));
    if (bytesRead === 1 && buffer.toString() !== "\n") this.write(1, "\n");
  }

  /** Writes everything out; false, since a file is never stuck. */
  async isStuckAfter(): Promise<boolean> {
    await this.#writing;
    return false;
  }

  async #drain(): Promise<void> {
    try {
      // What came while the file was closed has nobody else to write it.
      while (this.#queue.length > 0) await this.#writeOut();
    } catch {
      this.#queue = [];
      this.#queuedBytes = 0;
    } finally {
      this.#writing = undefined;
    }
  }

  async #writeOut(): Promise<void> {
    await using file = await open(this.#path, "a", 0o600);
    // More than this process has written, when the attempt was begun by another.
    this.#writtenBytes = Math.max(this.#writtenBytes, (await file.stat()).size);
    while (this.#queue.length > 0) {
      const text = this.#queue.join("");
      this.#queue = [];
      await file.appendFile(text);
      const bytes = Buffer.byteLength(text);
      this.#queuedBytes -= bytes;
      this.#writtenBytes += bytes;
      this.#onWritten();
    }
  }
}

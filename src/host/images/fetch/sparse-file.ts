import { type FileHandle, open } from "node:fs/promises";

/** Zeros are looked for in pieces of this size; a file system's own blocks are no larger. */
const BLOCK_BYTES = 64 * 1024;
const BUFFER_BYTES = 16 * BLOCK_BYTES;
const ZEROS = Buffer.alloc(BLOCK_BYTES);

/** A new file that is written from beginning to end; long stretches of zeros become holes, which take no room. */
export class SparseFile implements AsyncDisposable {
  readonly #file: FileHandle;
  readonly #buffer = Buffer.alloc(BUFFER_BYTES);
  #buffered = 0;
  /** How much is before the buffer. */
  #written = 0;

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  /** Makes the file, which must not be there. */
  static async make(path: string): Promise<SparseFile> {
    return new SparseFile(await open(path, "wx", 0o600));
  }

  async append(piece: Uint8Array): Promise<void> {
    for (let at = 0; at < piece.length; ) {
      const part = piece.subarray(at, at + BUFFER_BYTES - this.#buffered);
      this.#buffer.set(part, this.#buffered);
      this.#buffered += part.length;
      at += part.length;
      if (this.#buffered === BUFFER_BYTES) await this.#flush();
    }
  }

  /** Writes what is left, gives the file its length, and has it survive a power cut. */
  async finish(): Promise<void> {
    await this.#flush();
    await this.#file.truncate(this.#written);
    await this.#file.sync();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }

  async #flush(): Promise<void> {
    for (let at = 0; at < this.#buffered; ) {
      const end = this.#runEnd(at);
      if (end === at) at = Math.min(at + BLOCK_BYTES, this.#buffered);
      else {
        await this.#write(at, end);
        at = end;
      }
    }
    this.#written += this.#buffered;
    this.#buffered = 0;
  }

  /** Where the blocks from `at` on that are not all zeros end. */
  #runEnd(at: number): number {
    let end = at;
    while (end < this.#buffered) {
      const block = this.#buffer.subarray(end, Math.min(end + BLOCK_BYTES, this.#buffered));
      if (block.equals(ZEROS.subarray(0, block.length))) break;
      end += block.length;
    }
    return end;
  }

  async #write(from: number, to: number): Promise<void> {
    for (let at = from; at < to; ) {
      const { bytesWritten } = await this.#file.write(
        this.#buffer,
        at,
        to - at,
        this.#written + at,
      );
      at += bytesWritten;
    }
  }
}

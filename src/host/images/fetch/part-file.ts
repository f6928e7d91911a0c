import { createHash, type Hash } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { syncFolder } from "#lib/atomic-file.ts";

const SLICE_BYTES = 2 ** 20;
const { O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_RDWR } = constants;

/**
 * A file that grows until it is whole, `<digest>.part`, with the SHA-256 of what is in it. What a killed process left there is gone on
 * with. `isOfPieces` says whether it came in more than one: after a power cut the end of a part may be other bytes than were
 * written, and a server may go on with another file than it began with.
 */
export class PartFile implements AsyncDisposable {
  readonly path: string;
  readonly #file: FileHandle;
  #hash: Hash = createHash("sha256");
  #bytes = 0;
  #isOfPieces = false;

  private constructor(path: string, file: FileHandle) {
    this.path = path;
    this.#file = file;
  }

  /** Opens the part, or makes it. Reads what is there, slice by slice; of more than `bytesMax` nothing is kept. */
  static async open(path: string, bytesMax: number, signal: AbortSignal): Promise<PartFile> {
    const file = await open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600);
    const part = new PartFile(path, file);
    try {
      const { size } = await file.stat();
      if (size > bytesMax) await part.empty();
      else await part.#digestOld(size, signal);
      return part;
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  get bytes(): number {
    return this.#bytes;
  }

  get isOfPieces(): boolean {
    return this.#isOfPieces;
  }

  /** SHA-256 of what is there, in hexadecimal. */
  get sha256(): string {
    return this.#hash.copy().digest("hex");
  }

  /** Writes all of a piece at the end; when that fails the part is as long as before. */
  async append(piece: Uint8Array): Promise<void> {
    try {
      for (let done = 0; done < piece.length; ) {
        const left = piece.length - done;
        const { bytesWritten } = await this.#file.write(piece, done, left, this.#bytes + done);
        done += bytesWritten;
      }
    } catch (error) {
      await this.#file.truncate(this.#bytes).catch(() => undefined);
      throw error;
    }
    this.#hash.update(piece);
    this.#bytes += piece.length;
  }

  /** Says that what follows is of another piece than what is there. */
  beginPiece(): void {
    this.#isOfPieces = true;
  }

  /** Starts anew with nothing. */
  async empty(): Promise<void> {
    await this.#file.truncate(0);
    this.#hash = createHash("sha256");
    this.#bytes = 0;
    this.#isOfPieces = false;
  }

  /** Gives the file its final name, in one step and so that it survives a power cut. */
  async finish(path: string): Promise<void> {
    await this.#file.sync();
    await rename(this.path, path);
    await syncFolder(dirname(path));
  }

  async remove(): Promise<void> {
    await rm(this.path, { force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }

  async #digestOld(size: number, signal: AbortSignal): Promise<void> {
    const slice = Buffer.alloc(Math.min(size, SLICE_BYTES));
    while (this.#bytes < size) {
      signal.throwIfAborted();
      const { bytesRead } = await this.#file.read(slice, 0, slice.length, this.#bytes);
      if (bytesRead === 0) break;
      this.#hash.update(slice.subarray(0, bytesRead));
      this.#bytes += bytesRead;
    }
    this.#isOfPieces = this.#bytes > 0;
  }
}

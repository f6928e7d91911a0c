import { type FileHandle, open } from "node:fs/promises";
import { diskFault } from "./disk-fault.ts";

/**
 * A step's log on this host: the step's exact bytes up to a limit, appended as they come, and after them at most one line
 * of ours:
 *
 *     [testbed: log cut here after 67108864 bytes; the step printed 1024 more]
 *
 * Its size says how much came home, so following goes on where it stopped.
 */
export class LogFile implements AsyncDisposable {
  readonly #file: FileHandle;
  readonly #limitBytes: number;
  #bytes: number;
  #isCut: boolean;

  private constructor(file: FileHandle, limitBytes: number, size: number) {
    this.#file = file;
    this.#limitBytes = limitBytes;
    this.#bytes = Math.min(size, limitBytes);
    this.#isCut = size > limitBytes;
  }

  /** Opens or makes the file; what is in it stays. Throws host-disk-full. */
  static async open(path: string, limitBytes: number): Promise<LogFile> {
    try {
      const file = await open(path, "a", 0o644);
      const { size } = await file.stat();
      return new LogFile(file, limitBytes, size);
    } catch (error) {
      throw diskFault(error, "the log");
    }
  }

  /** How many of the step's bytes are in the file. */
  get bytes(): number {
    return this.#bytes;
  }

  get isFull(): boolean {
    return this.#bytes >= this.#limitBytes;
  }

  /** Appends what fits and returns it; the rest is dropped. Throws host-disk-full. */
  async append(piece: Buffer): Promise<Buffer> {
    const kept = piece.subarray(0, this.#limitBytes - this.#bytes);
    if (kept.length > 0) await this.#write(kept);
    this.#bytes += kept.length;
    return kept;
  }

  /** Adds the cut line, unless it is there, and returns it. `moreBytes` undefined: nobody knows how many. */
  async cut(moreBytes: number | undefined): Promise<Buffer> {
    if (this.#isCut) return Buffer.alloc(0);
    this.#isCut = true;
    const more = moreBytes === undefined ? "may have printed more" : `printed ${moreBytes} more`;
    const line = Buffer.from(
      `\n[testbed: log cut here after ${this.#bytes} bytes; the step ${more}]\n`,
    );
    await this.#write(line);
    return line;
  }

  /** Closes the file. Twice is safe. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }

  async #write(piece: Buffer): Promise<void> {
    try {
      await this.#file.appendFile(piece);
    } catch (error) {
      throw diskFault(error, "the log");
    }
  }
}

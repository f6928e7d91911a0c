import { createHash, type Hash, hash } from "node:crypto";
import { closeSync, constants, mkdirSync, openSync, rmSync, writeSync } from "node:fs";
import { dirname } from "node:path";

/** A name that is new or nothing: never a file that is there, never through a link. */
const FLAGS = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
const TAKEN_CODES = ["EEXIST", "ENOTDIR", "EISDIR", "ELOOP"];

/** Made last, by whichever collection: one that is gone since makes the next file fail, which forgets it. */
let lastFolder: string | undefined;

/**
 * A file that nobody had before, written piece by piece and hashed. Plain calls, which write thousands of small files in a
 * third of the time that asynchronous ones take: for a thread that may wait.
 */
export class NewFile {
  readonly #path: string;
  readonly #file: number;
  readonly #bytes: number;
  #hash: Hash | undefined;
  #sha256: string | undefined;

  private constructor(path: string, file: number, bytes: number) {
    this.#path = path;
    this.#file = file;
    this.#bytes = bytes;
  }

  /**
   * Makes the file and the folders above it; undefined when its name, or one of its folders', is taken. Throws what the
   * file system says of a full disk and the like. `bytes` is what it will hold.
   */
  static create(path: string, bytes: number): NewFile | undefined {
    try {
      const folder = dirname(path);
      if (folder !== lastFolder) mkdirSync(folder, { recursive: true, mode: 0o755 });
      lastFolder = folder;
      return new NewFile(path, openSync(path, FLAGS, 0o644), bytes);
    } catch (error) {
      lastFolder = undefined;
      if (TAKEN_CODES.includes((error as NodeJS.ErrnoException).code ?? "")) return undefined;
      throw error;
    }
  }

  /** Throws what the file system says. */
  write(part: Uint8Array): void {
    for (let at = 0; at < part.length; ) at += writeSync(this.#file, part, at);
    if (part.length === this.#bytes) this.#sha256 = hash("sha256", part);
    else {
      this.#hash ??= createHash("sha256");
      this.#hash.update(part);
    }
  }

  /** Closes the file and returns its SHA-256 in hexadecimal. */
  finish(): string {
    closeSync(this.#file);
    return this.#sha256 ?? (this.#hash ?? createHash("sha256")).digest("hex");
  }

  /** Closes and removes the file. */
  abandon(): void {
    closeSync(this.#file);
    rmSync(this.#path, { force: true });
  }
}

import { createReadStream } from "node:fs";
import { setImmediate } from "node:timers/promises";
import { readFolder, UnreadableFile } from "#lib/tar/read-folder.ts";

/** Pieces of a file from an offset on. */
export async function* fileBytes(path: string, from = 0): AsyncGenerator<Uint8Array> {
  try {
    yield* createReadStream(path, { start: from, highWaterMark: 256 * 1024 });
  } catch (error) {
    throw new UnreadableFile(path, (error as Error).message);
  }
}

/**
 * Pieces of a folder's archive from an offset on; what lies before is read as well, since only reading tells how long it
 * is. The same bytes each time, while nothing in the folder changes.
 */
export async function* folderBytes(path: string, from = 0): AsyncGenerator<Uint8Array> {
  let at = 0;
  for (const piece of readFolder(path)) {
    if (at + piece.length > from) yield piece.subarray(Math.max(from - at, 0));
    at += piece.length;
    // Folders are read in plain calls; Ctrl-C and the screen must have their turn.
    await setImmediate();
  }
}

/** Bytes that are taken in portions of a length that was told before. */
export class ByteSource implements AsyncDisposable {
  readonly #pieces: AsyncGenerator<Uint8Array>;
  #rest: Uint8Array = new Uint8Array();

  constructor(pieces: AsyncGenerator<Uint8Array>) {
    this.#pieces = pieces;
  }

  /** The next `bytes`. Throws `UnreadableFile` when there are fewer. */
  async *take(bytes: number): AsyncGenerator<Uint8Array> {
    for (let left = bytes; left > 0; ) {
      if (this.#rest.length === 0) {
        const { done, value } = await this.#pieces.next();
        if (done === true) throw new UnreadableFile("", "became shorter while it was sent");
        this.#rest = value;
      }
      const part = this.#rest.subarray(0, left);
      this.#rest = this.#rest.subarray(part.length);
      left -= part.length;
      yield part;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pieces.return(undefined);
  }
}

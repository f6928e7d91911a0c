import { type Extract, type ExtractEvents, extract } from "tar-stream";

/** An entry's content, whose pieces are always buffers, which the types of tar-stream do not say. */
type Source = Omit<ExtractEvents["entry"][1], typeof Symbol.asyncIterator> & AsyncIterable<Buffer>;

/** A guest's archive that no tar would write, or that ends in the middle. */
export class ArchiveError extends Error {
  override readonly name = "ArchiveError";
}

export type ArchiveEntry = {
  /** As the archive has it: data, until checked. */
  readonly name: string;
  readonly isFile: boolean;
  readonly bytes: number;
  /** Must be read to its end, or drained with `skip`. */
  readonly content: Source;
};

const SLICE_BYTES = 64 * 1024;
/** Nothing but headers for so long is no archive: names longer than this, or padding without end. */
const HEADER_BYTES_MAX = 256 * 1024;

/** Reads a tar archive as it comes, entry by entry, and keeps nothing of it; nothing is ever unpacked. */
export class ArchiveReader {
  readonly #parser: Extract = extract();
  readonly #done = Promise.withResolvers<void>();
  #headerBytes = 0;
  #openEntries = 0;

  /** `onEntry` is called for one entry after the other, and awaited. */
  constructor(onEntry: (entry: ArchiveEntry) => Promise<void>) {
    this.#done.promise.catch(() => undefined);
    this.#parser.on("entry", (header, content, next) => {
      this.#openEntries += 1;
      content.on("error", () => undefined);
      const isFile = header.type === "file" || header.type === "contiguous-file";
      onEntry({
        name: header.name,
        isFile,
        bytes: header.size,
        content: content as unknown as Source,
      })
        .then(() => {
          this.#openEntries -= 1;
          this.#headerBytes = 0;
          next();
        })
        .catch((error: unknown) => {
          this.#done.reject(error);
          next(error instanceof Error ? error : new Error(String(error)));
        });
    });
    this.#parser.on("error", (error: Error) => this.#break(error));
    this.#parser.on("close", () => this.#break(new Error("the archive ends in the middle")));
    this.#parser.on("finish", () => this.#done.resolve());
  }

  /** Takes the next piece, when the entries before it have been dealt with. Throws `ArchiveError`, or what `onEntry` threw. */
  async write(piece: Buffer): Promise<void> {
    for (let at = 0; at < piece.length; at += SLICE_BYTES) {
      const slice = piece.subarray(at, at + SLICE_BYTES);
      const { promise: drained, resolve } = Promise.withResolvers<void>();
      this.#parser.once("drain", resolve);
      if (!this.#parser.write(slice)) await Promise.race([drained, this.#done.promise]);
      this.#parser.off("drain", resolve);
      if (this.#openEntries === 0) this.#headerBytes += slice.length;
      if (this.#headerBytes > HEADER_BYTES_MAX) {
        this.#parser.destroy(new Error("a header is too long"));
        await this.#done.promise;
      }
    }
  }

  /** No more comes. Resolves when every entry was dealt with. Throws as `write` does. */
  async end(): Promise<void> {
    this.#parser.end(undefined);
    await this.#done.promise;
  }

  /** Stops in the middle. Twice is safe. */
  destroy(): void {
    this.#parser.destroy();
  }

  #break(error: Error): void {
    this.#done.reject(new ArchiveError(error.message, { cause: error }));
  }
}

/** The whole content of a small entry. */
export async function wholeContent({ content }: ArchiveEntry): Promise<Buffer> {
  const pieces: Buffer[] = [];
  content.on("data", (piece) => pieces.push(piece as Buffer));
  await ended(content);
  return pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces);
}

/** Reads an entry's content and throws it away. */
export async function skip({ content }: ArchiveEntry): Promise<void> {
  content.resume();
  await ended(content);
}

async function ended(content: Source): Promise<void> {
  let isEnded = false;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  content.once("end", () => {
    isEnded = true;
    resolve();
  });
  content.once("close", () => {
    // An error costs as much as reading a small file, so none is made for nothing.
    if (!isEnded) reject(new ArchiveError("the archive ends in the middle of a file"));
  });
  await promise;
}

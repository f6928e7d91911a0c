import { type TarEntry, TarError, tarEntry, tarRecords, tarText } from "./tar-header.ts";

/** A guest's archive that no tar would write, or that ends in the middle. */
export class ArchiveError extends Error {
  override readonly name = "ArchiveError";
}

export type ArchiveEntry = Pick<TarEntry, "name" | "isFile" | "bytes">;

/** Gets an archive's entries, one after the other. What a member throws ends the reading and is thrown as it is. */
export type ArchiveTaker = {
  begin(entry: ArchiveEntry): void;
  /** Some of the entry's content, valid during the call only. Not called for an empty one. */
  content(part: Uint8Array): void;
  end(): void;
};

const BLOCK_BYTES = 512;
/** Nothing but headers for so long is no archive: names longer than this, or padding without end. */
const HEADER_BYTES_MAX = 256 * 1024;

/**
 * Reads a tar archive as it comes, entry by entry, and keeps nothing of it; nothing is ever unpacked. Plain calls throughout,
 * for a thread that may wait: streams and promises for each of some thousand small files take longer than the files.
 */
export class ArchiveReader {
  readonly #taker: ArchiveTaker;
  /** A header, or the text of a long name or a PAX record, as far as it has come. */
  #gathered: Uint8Array = Buffer.alloc(BLOCK_BYTES);
  #gatheredBytes = 0;
  /** What the text that is gathered belongs to; undefined while it is a header. */
  #textOf: TarEntry | undefined;
  #contentLeft = 0;
  #paddingLeft = 0;
  #isInEntry = false;
  #headerBytes = 0;
  #longName: string | undefined;
  #pax: ReadonlyMap<string, string> | undefined;

  constructor(taker: ArchiveTaker) {
    this.#taker = taker;
  }

  /** Takes the next piece. Throws `ArchiveError`, or what the taker throws; then nothing more may be written. */
  write(piece: Uint8Array): void {
    for (let at = 0; at < piece.length; ) {
      if (this.#contentLeft > 0) at += this.#takeContent(piece, at);
      else if (this.#paddingLeft > 0) at += this.#takePadding(piece, at);
      else at += this.#gather(piece, at);
    }
  }

  /** Whether a file has begun whose end has not come. */
  get isInFile(): boolean {
    return this.#isInEntry;
  }

  /** No more comes. Throws `ArchiveError` when that is too early. */
  end(): void {
    if (this.#isInEntry) throw new ArchiveError("the archive ends in the middle of a file");
    if (this.#gatheredBytes > 0 || this.#textOf !== undefined || this.#paddingLeft > 0) {
      throw new ArchiveError("the archive ends in the middle");
    }
  }

  #takeContent(piece: Uint8Array, at: number): number {
    const part = piece.subarray(at, at + this.#contentLeft);
    this.#contentLeft -= part.length;
    this.#taker.content(part);
    if (this.#contentLeft === 0) this.#endEntry();
    return part.length;
  }

  #takePadding(piece: Uint8Array, at: number): number {
    const taken = Math.min(this.#paddingLeft, piece.length - at);
    this.#paddingLeft -= taken;
    return taken;
  }

  #gather(piece: Uint8Array, at: number): number {
    const wanted = this.#textOf?.bytes ?? BLOCK_BYTES;
    const part = piece.subarray(at, at + wanted - this.#gatheredBytes);
    this.#headerBytes += part.length;
    if (this.#headerBytes > HEADER_BYTES_MAX) throw new ArchiveError("a header is too long");
    if (part.length === wanted) this.#understand(part);
    else {
      this.#gathered.set(part, this.#gatheredBytes);
      this.#gatheredBytes += part.length;
      if (this.#gatheredBytes === wanted) {
        this.#gatheredBytes = 0;
        this.#understand(this.#gathered.subarray(0, wanted));
      }
    }
    return part.length;
  }

  #understand(gathered: Uint8Array): void {
    try {
      const { buffer, byteOffset, length } = gathered;
      const block = Buffer.from(buffer, byteOffset, length);
      if (this.#textOf === undefined) this.#takeHeader(block);
      else this.#takeText(this.#textOf, block);
    } catch (error) {
      throw error instanceof TarError ? new ArchiveError(error.message, { cause: error }) : error;
    }
  }

  #takeHeader(block: Buffer): void {
    const entry = tarEntry(block);
    // Empty blocks end an archive; another may follow.
    if (entry === undefined) return;
    if (entry.text === undefined) this.#beginEntry(entry);
    else this.#beginText(entry);
  }

  #beginEntry(entry: TarEntry): void {
    const name = this.#pax?.get("path") ?? this.#longName ?? entry.name;
    const bytes = entry.isBare ? 0 : (paxSize(this.#pax?.get("size")) ?? entry.bytes);
    this.#pax = undefined;
    this.#longName = undefined;
    this.#contentLeft = bytes;
    this.#paddingLeft = paddingOf(bytes);
    this.#isInEntry = true;
    this.#taker.begin({ name, isFile: entry.isFile, bytes });
    if (bytes === 0) this.#endEntry();
  }

  #beginText(entry: TarEntry): void {
    if (entry.bytes > HEADER_BYTES_MAX) throw new ArchiveError("a header is too long");
    if (entry.bytes === 0) return;
    this.#textOf = entry;
    if (this.#gathered.length < entry.bytes) this.#gathered = Buffer.alloc(entry.bytes);
  }

  #takeText(entry: TarEntry, text: Buffer): void {
    this.#textOf = undefined;
    this.#paddingLeft = paddingOf(entry.bytes);
    if (entry.text === "name") this.#longName = tarText(text);
    if (entry.text === "records") this.#pax = tarRecords(text);
  }

  #endEntry(): void {
    this.#isInEntry = false;
    this.#headerBytes = 0;
    this.#taker.end();
  }
}

const paddingOf = (bytes: number) => (BLOCK_BYTES - (bytes % BLOCK_BYTES)) % BLOCK_BYTES;

function paxSize(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const bytes = Number(text);
  if (!/^\d{1,19}$/.test(text) || !Number.isSafeInteger(bytes))
    throw new TarError("a size is no number");
  return bytes;
}

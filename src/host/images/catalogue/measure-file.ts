import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, open, realpath } from "node:fs/promises";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip, createZstdDecompress } from "node:zlib";
import type { CatalogueVersion } from "./document-schema.ts";
import { CatalogueRefused } from "./refused.ts";

export type Content = { readonly bytes: number; readonly sha256: string };
type Compression = CatalogueVersion["files"]["disk"]["compression"];

/** How what comes out of a compressed file is measured; undefined where that is not done in this process. */
const UNPACKERS: Readonly<Record<Compression, (() => Duplex) | undefined>> = {
  none: undefined,
  gzip: createGunzip,
  zstd: createZstdDecompress,
  xz: undefined,
};

/**
 * Length and SHA-256 of a file of a catalogue's folder, and of what comes out of it when it is compressed with gzip or
 * zstd; reads it once, as a stream. Throws `CatalogueRefused` for a file that is missing, empty, outside of the folder by
 * a symbolic link, not of its compression, or changed meanwhile.
 */
export async function measureFile(
  folder: string,
  name: string,
  compression: Compression,
  signal: AbortSignal,
): Promise<{ readonly packed: Content; readonly unpacked: Content | undefined }> {
  await using file = await openInside(folder, name);
  const before = await file.stat();
  if (!before.isFile()) throw new CatalogueRefused(`${name}: is not a regular file`);
  const [packed, unpacked] = [meter(), meter()];
  const source = file.createReadStream({ autoClose: false, highWaterMark: 1024 * 1024 });
  const unpacker = UNPACKERS[compression]?.();
  try {
    if (unpacker === undefined) await pipeline(source, packed.count, drain, { signal });
    else await pipeline(source, packed.count, unpacker, unpacked.count, drain, { signal });
  } catch (error) {
    signal.throwIfAborted();
    // https://nodejs.org/api/zlib.html: errors of the data are Z_… or ZSTD_….
    const { code = "", message } = error as NodeJS.ErrnoException;
    if (!code.startsWith("Z") && !code.startsWith("ERR_ZLIB")) throw error;
    throw new CatalogueRefused(`${name}: is not ${compression}: ${message}`, { cause: error });
  }
  const after = await file.stat();
  if (after.size !== packed.bytes() || after.mtimeMs !== before.mtimeMs)
    throw new CatalogueRefused(`${name}: changed while it was read`);
  if (packed.bytes() === 0 || (unpacker !== undefined && unpacked.bytes() === 0))
    throw new CatalogueRefused(`${name}: is empty`);
  return { packed: packed.content(), unpacked: unpacker && unpacked.content() };
}

async function openInside(folder: string, name: string): Promise<FileHandle> {
  try {
    const [root, path] = [await realpath(folder), await realpath(join(folder, name))];
    if (!path.startsWith(`${root}/`))
      throw new CatalogueRefused(`${name}: leads out of the folder, to ${path}`);
    // Without O_NONBLOCK opening a FIFO waits for its writer (open(2)).
    return await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (error instanceof CatalogueRefused) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    const says = code === "ENOENT" ? "there is no such file" : `cannot be read: ${message}`;
    throw new CatalogueRefused(`${name}: ${says}`, { cause: error });
  }
}

/** Counts and hashes what passes. */
function meter() {
  const hash = createHash("sha256");
  let bytes = 0;
  return {
    async *count(source: AsyncIterable<Buffer>) {
      for await (const piece of source) {
        hash.update(piece);
        bytes += piece.length;
        yield piece;
      }
    },
    bytes: () => bytes,
    content: (): Content => ({ bytes, sha256: hash.digest("hex") }),
  };
}

async function drain(source: AsyncIterable<Buffer>): Promise<void> {
  for await (const _ of source);
}

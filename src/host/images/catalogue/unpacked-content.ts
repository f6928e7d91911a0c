import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createGunzip, createZstdDecompress } from "node:zlib";
import type { CatalogueVersion } from "./document-schema.ts";
import { CatalogueRefused } from "./refused.ts";

export type Compression = CatalogueVersion["files"]["disk"]["compression"];

/** Length and SHA-256. */
export type Content = { readonly bytes: number; readonly sha256: string };

const DECOMPRESSORS = { gzip: createGunzip, zstd: createZstdDecompress };

/**
 * What comes out of a file that is compressed with gzip or zstd, read as a stream; undefined for xz, which is not unpacked
 * in this process. `name` is the file's in messages. Throws `CatalogueRefused` for one that is not of its compression, or
 * goes on after its last stream (of zstd: its first), which Node would pass over in silence.
 */
export async function unpackedContent(
  path: string,
  { name, compression }: { name: string; compression: Exclude<Compression, "none"> },
  signal: AbortSignal,
): Promise<Content | undefined> {
  if (compression === "xz") return undefined;
  const source = createReadStream(path, { highWaterMark: 1024 * 1024, signal });
  const content = DECOMPRESSORS[compression]();
  source.on("error", (error) => content.destroy(error));
  const hash = createHash("sha256");
  let bytes = 0;
  try {
    for await (const piece of source.pipe(content) as AsyncIterable<Buffer>) {
      hash.update(piece);
      bytes += piece.length;
    }
  } catch (error) {
    signal.throwIfAborted();
    const { syscall, message } = error as NodeJS.ErrnoException;
    if (syscall !== undefined) throw error;
    throw new CatalogueRefused(`${name}: is not ${compression}: ${message}`, { cause: error });
  } finally {
    source.destroy();
    content.destroy();
  }
  // Of zstd Node reads one stream, of gzip all; it says nothing of what follows.
  const { size } = await stat(path);
  if (content.bytesWritten !== size)
    throw new CatalogueRefused(
      `${name}: goes on after its first ${compression} stream; pack it as one`,
    );
  return { bytes, sha256: hash.digest("hex") };
}

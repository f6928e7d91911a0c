import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { open, realpath } from "node:fs/promises";
import { join } from "node:path";
import type { Compression } from "#host/images/fetch/unpacked.ts";
import { CatalogueRefused } from "./refused.ts";
import { type Content, unpackedContent } from "./unpacked-content.ts";

/**
 * Length and SHA-256 of a file of a catalogue's folder, and of what comes out of it when it is compressed; read as
 * streams. Throws `CatalogueRefused` for a file that is missing, empty, outside of the folder by a symbolic
 * link, not of its compression, or changed meanwhile.
 */
export async function measureFile(
  folder: string,
  name: string,
  compression: Compression,
  signal: AbortSignal,
): Promise<{ readonly packed: Content; readonly unpacked: Content | undefined }> {
  const path = await pathInside(folder, name);
  // Without O_NONBLOCK opening a FIFO waits for its writer (open(2)).
  await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch(unreadable);
  const before = await file.stat();
  if (!before.isFile()) throw new CatalogueRefused(`${name}: is not a regular file`);
  const hash = createHash("sha256");
  let bytes = 0;
  const source = file.createReadStream({ autoClose: false, highWaterMark: 1024 * 1024 });
  for await (const piece of source as AsyncIterable<Buffer>) {
    signal.throwIfAborted();
    hash.update(piece);
    bytes += piece.length;
  }
  const packed = { bytes, sha256: hash.digest("hex") };
  const unpacked =
    compression === "none" ? undefined : await unpackedContent(path, { name, compression }, signal);
  const after = await file.stat();
  if (after.size !== packed.bytes || after.mtimeMs !== before.mtimeMs)
    throw new CatalogueRefused(`${name}: changed while it was read`);
  if (packed.bytes === 0 || unpacked?.bytes === 0) throw new CatalogueRefused(`${name}: is empty`);
  return { packed, unpacked };

  function unreadable(error: unknown): never {
    throw new CatalogueRefused(`${name}: cannot be read: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

/** Where a name leads, links followed, when that is below the folder. */
async function pathInside(folder: string, name: string): Promise<string> {
  const root = await realpath(folder);
  const path = await realpath(join(folder, name)).catch((error: unknown) => {
    const { code, message } = error as NodeJS.ErrnoException;
    const says = code === "ENOENT" ? "there is no such file" : `cannot be read: ${message}`;
    throw new CatalogueRefused(`${name}: ${says}`, { cause: error });
  });
  if (!path.startsWith(`${root}/`))
    throw new CatalogueRefused(`${name}: leads out of the folder, to ${path}`);
  return path;
}

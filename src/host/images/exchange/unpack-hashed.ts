import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import { SparseFile } from "#host/images/fetch/sparse-file.ts";
import { type Compression, unpacked } from "#host/images/fetch/unpacked.ts";
import { Fault } from "#job/fault.ts";
import { ExchangeRefused } from "./refused.ts";

const COMPRESSIONS: readonly (readonly [suffix: string, Compression])[] = [
  [".gz", "gzip"],
  [".xz", "xz"],
  [".zst", "zstd"],
];

/** How a file is compressed, by the end of its name. */
export function compressionOf(path: string): Compression {
  const found = COMPRESSIONS.find(([suffix]) => path.toLowerCase().endsWith(suffix));
  return found?.[1] ?? "none";
}

/**
 * Unpacks a regular file and hashes what comes out, never more than `bytesMax` of it. Pieces of zeros become holes. `target`
 * must not exist. `onBytes` hears how long the packed file is, at the end. Throws `ExchangeRefused` for what cannot be unpacked or is too
 * long, host-tool-missing; what is half written is the caller's to remove.
 */
export async function unpackHashed(
  { path, compression }: { readonly path: string; readonly compression: Compression },
  target: string,
  order: { bytesMax: number; onBytes: (bytes: number) => void; signal: AbortSignal },
): Promise<{ readonly bytes: number; readonly sha256: string }> {
  const { bytesMax, onBytes, signal } = order;
  // Opening a FIFO would wait for its writer.
  const found = await stat(path).catch((error: Error) => {
    throw new ExchangeRefused(`${path} cannot be read: ${error.message}`, { cause: error });
  });
  if (!found.isFile()) throw new ExchangeRefused(`${path} is not a regular file`);
  await using to = await SparseFile.make(target);
  const hash = createHash("sha256");
  let bytes = 0;
  try {
    for await (const piece of unpacked(path, compression, signal)) {
      bytes += piece.length;
      if (bytes > bytesMax)
        throw new ExchangeRefused(
          `${path} unpacks to more than ${bytesMax} bytes; see limits.disk in the file of images`,
        );
      hash.update(piece);
      await to.append(piece);
    }
  } catch (error) {
    if (!(error instanceof Fault) || error.code !== "image-refused") throw error;
    throw new ExchangeRefused(error.message, { cause: error });
  }
  await to.finish();
  if (bytes === 0) throw new ExchangeRefused(`${path} is empty`);
  onBytes(found.size);
  return { bytes, sha256: hash.digest("hex") };
}

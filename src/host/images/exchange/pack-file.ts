import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { rm } from "node:fs/promises";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip, createZstdCompress } from "node:zlib";
import { run } from "#lib/spawn.ts";
import { copyHashed } from "./copy-hashed.ts";

/** How a disk is packed, and what the file's name ends with then. */
export const PACKINGS = { none: "", gzip: ".gz", xz: ".xz", zstd: ".zst" } as const;
export type Packing = keyof typeof PACKINGS;

const XZ_MS = 4 * 3600_000;

/**
 * Writes a file packed to `target` and the packing's ending; returns the SHA-256 of what was read, not of what was written. What is
 * half written is the caller's to remove. Throws `SpawnError` when there is no xz(1) for `xz`.
 */
export async function packFile(
  source: string,
  target: string,
  packing: Packing,
  { onBytes, signal }: { onBytes: (bytes: number) => void; signal: AbortSignal },
): Promise<{ readonly path: string; readonly sha256: string }> {
  const path = `${target}${PACKINGS[packing]}`;
  if (packing === "gzip" || packing === "zstd") {
    const hash = createHash("sha256");
    const meter = new Transform({
      transform: (piece: Buffer, _, next) => {
        hash.update(piece);
        onBytes(piece.length);
        next(null, piece);
      },
    });
    const packer = packing === "gzip" ? createGzip() : createZstdCompress();
    const from = createReadStream(source, { highWaterMark: 2 ** 20 });
    const to = createWriteStream(path, { flags: "wx", mode: 0o644, flush: true });
    await pipeline(from, meter, packer, to, { signal });
    return { path, sha256: hash.digest("hex") };
  }
  const { sha256 } = await copyHashed(source, target, { onBytes, signal });
  if (packing === "none") return { path, sha256 };
  await run("xz", ["--threads=2", "--keep", "--", target], { timeoutMs: XZ_MS, signal });
  await rm(target);
  return { path, sha256 };
}

import { createHash } from "node:crypto";
import { rm } from "node:fs/promises";
import { deadline } from "#lib/deadline.ts";
import { fetchFailed, inOurWords, refused } from "./fetch-faults.ts";
import { SparseFile } from "./sparse-file.ts";
import { type Compression, unpacked } from "./unpacked.ts";

export type Unpack = {
  /** A file whose own SHA-256 was checked. */
  readonly path: string;
  readonly compression: Compression;
  /** Of what is in it. */
  readonly bytes: number;
  readonly sha256: string;
  /** The new file, in a folder of the caller's that is swept should this process be killed. */
  readonly to: string;
};

/** A pace that the slowest disk and xz on a busy core keep, and time to begin with. */
const BYTES_PER_SECOND_MIN = 2 ** 20;
const BASE_MS = 60_000;

/**
 * Unpacks a file into a new one, `to`, as it reads: never more than `bytes`, whatever it would unpack to, in bounded memory and time.
 * Several streams one after the other are one content, as gzip, xz and zstd themselves have it; anything else that follows a
 * stream is refused. Stretches of zeros take no room. On any failure `to` is not there. Throws image-refused for what cannot be
 * unpacked or is not what was said, host-disk-full, host-tool-missing (xz), image-fetch-failed, or the signal's reason.
 */
export async function unpack(order: Unpack, signal: AbortSignal): Promise<void> {
  const { path, bytes, to } = order;
  const limitMs = BASE_MS + (bytes / BYTES_PER_SECOND_MIN) * 1000;
  using limit = deadline(limitMs, () =>
    fetchFailed(`${path} was not unpacked within ${Math.round(limitMs / 1000)} s`),
  );
  const hurry = AbortSignal.any([signal, limit.signal]);
  await inOurWords(to, hurry, async () => {
    await using file = await SparseFile.make(to);
    try {
      await pour(order, file, hurry);
      await file.finish();
    } catch (error) {
      await rm(to, { force: true });
      throw error;
    }
  });
}

async function pour(
  { path, compression, bytes, sha256 }: Unpack,
  file: SparseFile,
  signal: AbortSignal,
): Promise<void> {
  const hash = createHash("sha256");
  let done = 0;
  for await (const piece of unpacked(path, compression, signal)) {
    done += piece.length;
    if (done > bytes)
      throw refused(`${path} unpacks to more than the ${bytes} bytes that were said`);
    hash.update(piece);
    await file.append(piece);
  }
  if (done !== bytes)
    throw refused(`${path} unpacks to ${done} bytes, not the ${bytes} that were said`);
  const found = hash.digest("hex");
  if (found !== sha256) throw refused(`${path} unpacks to SHA-256 ${found}, not ${sha256}`);
}

import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { constants, createGunzip, createZstdDecompress } from "node:zlib";
import { Fault } from "#job/fault.ts";
import { outputOf, SpawnError } from "#lib/spawn.ts";
import { refused } from "./fetch-faults.ts";

export type Compression = "none" | "gzip" | "xz" | "zstd";

type Pieces = AsyncGenerator<Buffer, void, undefined>;

const SLICE_BYTES = 64 * 1024;

/** What `xz -9` and `zstd -19 --ultra` need to unpack is less; more is asked for by nobody's image. */
const XZ_MEMORY = "256MiB";
const ZSTD_WINDOW_LOG_MAX = 27;

/** A file may be a few large streams (pzstd makes one for each of its threads' turns), and no million of empty ones, each of which takes a new decompressor. */
const STREAMS_MAX = 4_000;

/** xz has no deadline of its own here: whoever reads has one. */
const XZ_MS_MAX = 24 * 3600 * 1000;

const DECOMPRESSORS = {
  gzip: () => createGunzip({ chunkSize: SLICE_BYTES }),
  zstd: () =>
    createZstdDecompress({
      chunkSize: SLICE_BYTES,
      params: { [constants.ZSTD_d_windowLogMax]: ZSTD_WINDOW_LOG_MAX },
    }),
};

/**
 * The content of a file, piece by piece. Each piece is valid until the next is asked for. Throws image-refused for one that cannot be
 * unpacked, host-tool-missing, or what reading throws.
 */
export function unpacked(path: string, compression: Compression, signal: AbortSignal): Pieces {
  if (compression === "none") return plain(path, signal);
  if (compression === "xz") return throughXz(path, signal);
  return streams(path, compression, signal);
}

async function* plain(path: string, signal: AbortSignal): Pieces {
  for await (const piece of createReadStream(path, { highWaterMark: SLICE_BYTES, signal }))
    yield piece as Buffer;
}

/**
 * Node's decompressor ends with the first stream and silently leaves what follows: for zstd always, for gzip where that is no other gzip
 * stream. So the next one begins where it ended, and refuses what is no stream.
 */
async function* streams(path: string, kind: "gzip" | "zstd", signal: AbortSignal): Pieces {
  await using file = await open(path);
  const { size } = await file.stat();
  let at = 0;
  for (let count = 1; at < size || count === 1; count += 1) {
    if (count > STREAMS_MAX) throw refused(`${path} is more than ${STREAMS_MAX} streams`);
    const source = createReadStream(path, { start: at, highWaterMark: SLICE_BYTES, signal });
    const content = DECOMPRESSORS[kind]();
    source.on("error", (error) => content.destroy(error));
    try {
      for await (const piece of source.pipe(content)) yield piece as Buffer;
      at += content.bytesWritten;
    } catch (error) {
      signal.throwIfAborted();
      const { syscall, message } = error as NodeJS.ErrnoException;
      if (syscall !== undefined) throw error;
      const where = at === 0 ? "" : ` from byte ${at} on`;
      throw refused(`${path} is no ${kind} file${where}: ${message}`, error);
    } finally {
      source.destroy();
      content.destroy();
    }
  }
}

async function* throughXz(path: string, signal: AbortSignal): Pieces {
  await using file = await open(path);
  const limits = ["--no-adjust", "--threads=1", `--memlimit-decompress=${XZ_MEMORY}`];
  const args = ["--decompress", "--stdout", "--format=xz", "--quiet", ...limits];
  try {
    yield* outputOf("xz", args, { input: file.fd, timeoutMs: XZ_MS_MAX, signal });
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof SpawnError)) throw error;
    if (error.isMissing) throw new Fault("host-tool-missing", error.message, { cause: error });
    throw refused(`${path} is no xz file: ${error.stderrTail || error.message}`, error);
  }
}

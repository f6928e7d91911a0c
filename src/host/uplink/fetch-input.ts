import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { chmod, rm, stat } from "node:fs/promises";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { NoAnswer } from "#lib/http-client.ts";
import type { ServiceClient } from "#protocol/service-client.ts";
import type { WireInput } from "#protocol/wire-job.ts";

type Order = {
  readonly client: ServiceClient;
  readonly lease: string;
  readonly input: WireInput;
  readonly path: string;
};

const FILE_MODE_DEFAULT = 0o644;

/**
 * Brings an input into a file, from where an earlier try ended on, and checks its digest. Streamed. A content that is wrong is
 * thrown away and asked for again by whoever retries.
 */
export async function fetchInput(order: Order, signal: AbortSignal): Promise<void> {
  const { client, lease, input, path } = order;
  const haveBytes = await sizeOf(path);
  if (haveBytes < input.bytes || haveBytes === 0) {
    const answer = await client.bytes("readInput", {
      path: { lease, sha256: input.sha256 },
      ...(haveBytes === 0 ? {} : { headers: { range: `bytes=${haveBytes}-` } }),
      signal,
    });
    const flags = answer.status === 206 ? "a" : "w";
    const limit = atMost(input.bytes - (answer.status === 206 ? haveBytes : 0));
    const file = createWriteStream(path, { flags, mode: 0o600 });
    await pipeline(answer.body, limit, file, { signal }).catch((cause: NodeJS.ErrnoException) => {
      signal.throwIfAborted();
      // Of this host's own disk, not of the connection.
      if (cause.syscall === "write" || cause.syscall === "open") throw cause;
      throw new NoAnswer(`an input did not arrive whole: ${cause.message}`, { cause });
    });
  }
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash, { signal });
  if (hash.digest("hex") === input.sha256)
    return await chmod(path, input.mode ?? FILE_MODE_DEFAULT);
  await rm(path, { force: true });
  throw new NoAnswer(
    `what arrived as input ${input.sha256.slice(0, 12)}… does not have its digest`,
  );
}

/** A content has the length that its job names; whoever sends more does not fill this host's disk. */
function atMost(bytes: number): Transform {
  let left = bytes;
  return new Transform({
    transform(piece: Buffer, _, done) {
      left -= piece.length;
      if (left < 0) done(new Error("more came than there should be"));
      else done(null, piece);
    },
  });
}

async function sizeOf(path: string): Promise<number> {
  return await stat(path).then(
    ({ size }) => size,
    () => 0,
  );
}

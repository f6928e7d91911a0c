import { type FileHandle, open } from "node:fs/promises";
import { type ArtifactFile, NotTaken } from "#host/daemon/ports.ts";
import { CHUNK_BYTES_MAX } from "#protocol/bytes-route.ts";
import { Refused } from "#protocol/refused.ts";
import type { Have, ServiceClient } from "#protocol/service-client.ts";

/** To send so much again costs less than to ask first whether it is there. */
const UNASKED_BYTES_MAX = 64 * 1024;

type Order = {
  readonly client: ServiceClient;
  readonly lease: string;
  readonly file: ArtifactFile;
};

/**
 * Sends a file by its digest, from what the service has of it on, in pieces that it takes; streamed. Twice is safe. Throws `NotTaken`
 * when the file cannot be read or has another length, too: no later try would do better.
 */
export async function sendArtifact(order: Order, signal: AbortSignal): Promise<void> {
  const { client, lease, file } = order;
  const path = { lease, sha256: file.sha256 };
  let { haveBytes, isComplete } = await haveOf(order, signal);
  if (isComplete) return;
  await using source = await openWhole(file);
  while (!isComplete) {
    const bytes = Math.min(CHUNK_BYTES_MAX, file.bytes - haveBytes);
    const start = haveBytes;
    const span = { start, end: Math.max(start, start + bytes - 1), autoClose: false };
    const body = { bytes, open: () => source.createReadStream(span) };
    const query = { offset: haveBytes, total: file.bytes };
    const question = { path, query, bytes: bytes === 0 ? "" : body, signal };
    try {
      ({ haveBytes, isComplete } = await client.have("writeArtifact", question));
    } catch (error) {
      // With a wrong digest all would be sent again, and again.
      const isElsewhere = error instanceof Refused && error.slug === "wrong-offset";
      if (!isElsewhere || error.haveBytes === undefined) throw error;
      haveBytes = error.haveBytes;
    }
    if ((haveBytes === start || haveBytes > file.bytes) && !isComplete)
      throw new NotTaken(`the service takes no more of ${file.sha256} after ${start} bytes`);
  }
}

async function haveOf({ client, lease, file }: Order, signal: AbortSignal): Promise<Have> {
  const nothing = { haveBytes: 0, isComplete: false };
  if (file.bytes <= UNASKED_BYTES_MAX) return nothing;
  const path = { lease, sha256: file.sha256 };
  return await client.have("haveArtifact", { path, signal }).catch((error: unknown) => {
    // An answer to HEAD has no words: whether it is the service's own is told by what it says to the bytes.
    if (!(error instanceof Refused) || error.status !== 404) throw error;
    return nothing;
  });
}

async function openWhole({ path, bytes }: ArtifactFile): Promise<FileHandle> {
  const source = await open(path, "r").catch((cause: NodeJS.ErrnoException) => {
    const says =
      cause.code === "ENOENT"
        ? "it is not on its host any more: the disk was short, or somebody removed it"
        : `it cannot be read on its host: ${cause.message}`;
    throw new NotTaken(says, { cause });
  });
  const { size } = await source.stat();
  if (size === bytes) return source;
  await source.close();
  throw new NotTaken(`it has ${size} bytes on its host, and had ${bytes}`);
}

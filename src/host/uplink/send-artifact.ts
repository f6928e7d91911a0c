import { createReadStream } from "node:fs";
import { type ArtifactFile, NotTaken } from "#host/daemon/ports.ts";
import { CHUNK_BYTES_MAX } from "#protocol/bytes-route.ts";
import { Refused } from "#protocol/refused.ts";
import type { ServiceClient } from "#protocol/service-client.ts";

type Order = {
  readonly client: ServiceClient;
  readonly lease: string;
  readonly file: ArtifactFile;
};

/** Sends a file by its digest, from what the service has of it on, in pieces that it takes; streamed. Twice is safe. */
export async function sendArtifact(order: Order, signal: AbortSignal): Promise<void> {
  const { client, lease, file } = order;
  const path = { lease, sha256: file.sha256 };
  let { haveBytes, isComplete } = await client.have("haveArtifact", { path, signal });
  while (!isComplete) {
    const bytes = Math.min(CHUNK_BYTES_MAX, file.bytes - haveBytes);
    const start = haveBytes;
    const body = {
      bytes,
      open: () => createReadStream(file.path, { start, end: Math.max(start, start + bytes - 1) }),
    };
    const query = { offset: haveBytes, total: file.bytes };
    const question = { path, query, bytes: bytes === 0 ? "" : body, signal };
    try {
      ({ haveBytes, isComplete } = await client.have("writeArtifact", question));
    } catch (error) {
      if (!(error instanceof Refused) || error.haveBytes === undefined) throw error;
      haveBytes = error.haveBytes;
    }
    if (haveBytes === start && !isComplete)
      throw new NotTaken(`the service takes no more of ${file.sha256} after ${start} bytes`);
  }
}

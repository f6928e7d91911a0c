import { type FileHandle, open } from "node:fs/promises";
import type { LogFile } from "#host/daemon/ports.ts";
import { NoAnswer } from "#lib/http-client.ts";
import { Refused } from "#protocol/refused.ts";
import type { ServiceClient } from "#protocol/service-client.ts";

/** A body; the service takes up to 1 MiB, and what is followed live comes in small pieces anyway. */
const PIECE_BYTES = 256 * 1024;

/** Brings logs to the service by offset. What the service has of each is remembered, and asked for when it is not known. */
export class LogSender {
  readonly #client: ServiceClient;
  readonly #have = new Map<string, Map<string, number>>();

  constructor(client: ServiceClient) {
    this.#client = client;
  }

  /** Sends a log up to its present end and tells how much the service has. A file that is not there has nothing to send. */
  async send(lease: string, { log, path }: LogFile, signal: AbortSignal): Promise<number> {
    const known = this.#have.get(lease) ?? new Map<string, number>();
    this.#have.set(lease, known);
    const file = await openIfThere(path);
    if (file === undefined) return 0;
    await using _ = file;
    const { size } = await file.stat();
    const buffer = Buffer.allocUnsafe(Math.min(PIECE_BYTES, Math.max(size, 1)));
    let offset = known.get(log) ?? 0;
    while (offset < size) {
      const want = Math.min(buffer.length, size - offset);
      const { bytesRead } = await file.read(buffer, 0, want, offset);
      if (bytesRead === 0) break;
      const bytes = buffer.subarray(0, bytesRead);
      const have = await this.#append({ lease, log, offset, bytes }, signal);
      // Else it would be asked again and again, without a pause.
      if (have === offset) throw new NoAnswer(`the service has no more of log ${log} than before`);
      offset = have;
      known.set(log, offset);
    }
    return offset;
  }

  /** To be called when a lease is over. */
  forget(lease: string): void {
    this.#have.delete(lease);
  }

  async #append(
    { lease, log, offset, bytes }: { lease: string; log: string; offset: number; bytes: Buffer },
    signal: AbortSignal,
  ): Promise<number> {
    try {
      const question = { path: { lease, log }, query: { offset }, bytes, signal };
      return (await this.#client.have("writeLog", question)).haveBytes;
    } catch (error) {
      // An answer was lost, or an earlier daemon sent it: go on from what is there.
      if (error instanceof Refused && error.haveBytes !== undefined) return error.haveBytes;
      throw error;
    }
  }
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  return await open(path, "r").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
}

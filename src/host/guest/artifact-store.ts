import { mkdir } from "node:fs/promises";
import type { Artifact } from "#job/verdict.ts";
import { diskFault } from "./disk-fault.ts";
import type { FileThread } from "./file-thread.ts";

/** Small files go to the other thread in batches of about this much. */
const BATCH_BYTES = 256 * 1024;
const BATCH_FILES = 128;
const PIECE_BYTES = 512 * 1024;

type Batched = {
  readonly path: string;
  readonly content: Buffer;
  readonly done: PromiseWithResolvers<Artifact | undefined>;
};

/**
 * Files that came home, below a folder of their own that nobody else writes to. A file gets its checked name only when that
 * is free; nothing is ever replaced and no link followed. Its SHA-256 is what it is known by from then on. What breaks off
 * leaves nothing.
 */
export class ArtifactStore {
  readonly #folder: string;
  readonly #thread: FileThread;
  #batch: Batched[] = [];
  #batchBytes = 0;

  private constructor(folder: string, thread: FileThread) {
    this.#folder = folder;
    this.#thread = thread;
  }

  /** Makes the folder. Throws host-disk-full. */
  static async open(folder: string, thread: FileThread): Promise<ArtifactStore> {
    try {
      await mkdir(folder, { recursive: true, mode: 0o755 });
    } catch (error) {
      throw diskFault(error, "the artifacts");
    }
    return new ArtifactStore(folder, thread);
  }

  /**
   * Stores a file that is whole in memory, together with those that follow closely: see `flush`. Undefined when its path
   * is taken, by a folder say, or one of its folders' by a file. Throws host-disk-full.
   */
  async put(path: string, content: Buffer): Promise<Artifact | undefined> {
    const done = Promise.withResolvers<Artifact | undefined>();
    this.#batch.push({ path, content, done });
    this.#batchBytes += content.length;
    if (this.#batchBytes >= BATCH_BYTES || this.#batch.length >= BATCH_FILES) this.flush();
    return await done.promise;
  }

  /** Stores now what was put and is still held back. */
  flush(): void {
    const batch = this.#batch;
    const content = new Uint8Array(this.#batchBytes);
    this.#batch = [];
    this.#batchBytes = 0;
    if (batch.length === 0) return;
    let start = 0;
    for (const file of batch) {
      content.set(file.content, start);
      start += file.content.length;
    }
    const paths = batch.map(({ path }) => path).join("\n");
    const sizes = Uint32Array.from(batch, (file) => file.content.length);
    const request = { kind: "put", folder: this.#folder, paths, sizes } as const;
    this.#thread.store({ ...request, content: content.buffer }).then(
      (digests) => {
        for (const [index, { path, content: own, done }] of batch.entries()) {
          const sha256 = digests[index];
          done.resolve(sha256 === undefined ? undefined : { path, bytes: own.length, sha256 });
        }
      },
      (error: unknown) => {
        for (const { done } of batch) done.reject(error);
      },
    );
  }

  /** Stores a file piece by piece. Undefined and throws as `put`; what the content throws leaves nothing behind. */
  async putStream(path: string, content: AsyncIterable<Buffer>): Promise<Artifact | undefined> {
    const stream = this.#thread.newStream();
    const [begun] = await this.#thread.store({ kind: "begin", stream, folder: this.#folder, path });
    let bytes = 0;
    try {
      for await (const piece of gathered(content)) {
        bytes += piece.byteLength;
        if (begun !== undefined)
          await this.#thread.store({ kind: "piece", stream, content: piece });
      }
    } catch (error) {
      await this.#thread.store({ kind: "abandon", stream });
      throw error;
    }
    if (begun === undefined) return undefined;
    const [sha256] = await this.#thread.store({ kind: "end", stream });
    return sha256 === undefined ? undefined : { path, bytes, sha256 };
  }
}

/** Larger pieces, in memory of their own that can be given away. */
async function* gathered(content: AsyncIterable<Buffer>): AsyncGenerator<ArrayBuffer> {
  let gathering = new Uint8Array(PIECE_BYTES);
  let filled = 0;
  for await (const piece of content) {
    for (let at = 0; at < piece.length; ) {
      const part = piece.subarray(at, at + PIECE_BYTES - filled);
      gathering.set(part, filled);
      filled += part.length;
      at += part.length;
      if (filled < PIECE_BYTES) continue;
      yield gathering.buffer;
      gathering = new Uint8Array(PIECE_BYTES);
      filled = 0;
    }
  }
  if (filled > 0) yield gathering.buffer.slice(0, filled);
}

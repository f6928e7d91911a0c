import { Worker } from "node:worker_threads";
import type { FileReply, FileRequest } from "./file-requests.ts";
import { unreadable } from "./read-file.ts";

/**
 * The thread that reads folders to be sent, and unpacks, writes and hashes files that come home. A thread takes longer to start
 * than a thousand small files to write, so one serves all guests of a process; it is started when first wanted and never
 * keeps the process alive.
 */
export class FileThread {
  readonly #waiting = new Map<number, PromiseWithResolvers<FileReply>>();
  #worker: Worker | undefined;
  #lastId = 0;
  #lastStream = 0;

  /** Starts the thread, so that it is there when files come. Twice is safe. */
  warm(): void {
    this.#start();
  }

  /** A number for a stream that nobody else has. */
  newStream(): number {
    this.#lastStream += 1;
    return this.#lastStream;
  }

  /** Has something done, after all that was asked for before. Rejects only when the thread itself is lost. */
  async ask(request: FileRequest): Promise<FileReply> {
    this.#lastId += 1;
    const id = this.#lastId;
    const waiting = Promise.withResolvers<FileReply>();
    this.#waiting.set(id, waiting);
    const worker = this.#start();
    worker.ref();
    worker.postMessage({ id, request });
    return await waiting.promise;
  }

  /** A folder as a tar archive: see `readFolder`. Throws input-unreadable. */
  async *readFolder(folder: string): AsyncGenerator<Uint8Array> {
    const stream = this.newStream();
    const next = () => this.ask({ kind: "next", stream });
    await this.ask({ kind: "read", stream, folder });
    try {
      for (let coming = next(); ; ) {
        const { content, error } = await coming;
        if (error !== undefined) throw unreadable(error.path ?? folder, error.message);
        if (content === undefined) return;
        // The next piece is read while this one is on its way.
        coming = next();
        coming.catch(() => undefined);
        yield content;
      }
    } finally {
      await this.ask({ kind: "abandon", stream });
    }
  }

  #start(): Worker {
    if (this.#worker !== undefined) return this.#worker;
    const worker = new Worker(new URL("./file-worker.ts", import.meta.url), { env: {} });
    worker.on("message", (reply: FileReply) => this.#hear(worker, reply));
    worker.on("error", (error) => this.#lose(error));
    worker.on("exit", () => this.#lose(new Error("the thread that reads and writes files ended")));
    // After the listeners: one for messages takes a reference again.
    worker.unref();
    this.#worker = worker;
    return worker;
  }

  #hear(worker: Worker, reply: FileReply): void {
    this.#waiting.get(reply.id)?.resolve(reply);
    this.#waiting.delete(reply.id);
    if (this.#waiting.size === 0) worker.unref();
  }

  #lose(error: unknown): void {
    this.#worker = undefined;
    for (const waiting of this.#waiting.values()) waiting.reject(error);
    this.#waiting.clear();
  }
}

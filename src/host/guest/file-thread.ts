import { Worker } from "node:worker_threads";
import { diskFault } from "./disk-fault.ts";
import { unreadable } from "./read-file.ts";

/** What the thread does. Paths are checked before they come here. */
export type FileRequest =
  | {
      readonly kind: "put";
      readonly folder: string;
      /** One path a line, since a thousand objects cost more to pass on than a thousand files. */
      readonly paths: string;
      /** How much of the content each file has, one behind the other. */
      readonly sizes: Uint32Array;
      readonly content: ArrayBuffer;
    }
  | { readonly kind: "begin"; readonly stream: number; readonly folder: string; path: string }
  | { readonly kind: "piece"; readonly stream: number; readonly content: ArrayBuffer }
  | { readonly kind: "end"; readonly stream: number }
  | { readonly kind: "abandon"; readonly stream: number }
  | { readonly kind: "read"; readonly stream: number; readonly folder: string }
  | { readonly kind: "next"; readonly stream: number };

/** Digests of what was written, hexadecimal; undefined where a name was taken. */
export type Digests = readonly (string | undefined)[];

export type FileReply = {
  readonly id: number;
  readonly digests: Digests;
  /** The next piece of what is read; absent at its end. */
  readonly content?: Uint8Array<ArrayBuffer>;
  readonly error?: {
    readonly code: string | undefined;
    readonly message: string;
    /** The file that could not be read. */
    readonly path?: string;
  };
};

/**
 * The thread that reads folders to be sent, and writes and hashes files that came home. A thread takes longer to start than
 * a thousand small files to write, so one serves all guests of a process; it is started when first wanted and never keeps the process alive.
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

  /** Has something stored. What `content` holds is given away. Throws host-disk-full, or what went wrong with the files. */
  async store(request: FileRequest): Promise<Digests> {
    const { digests, error } = await this.#ask(request);
    if (error === undefined) return digests;
    throw diskFault(Object.assign(new Error(error.message), { code: error.code }), "an artifact");
  }

  /** A folder as a tar archive: see `readFolder`. Throws input-unreadable. */
  async *readFolder(folder: string): AsyncGenerator<Uint8Array> {
    const stream = this.newStream();
    const next = () => this.#ask({ kind: "next", stream });
    await this.#ask({ kind: "read", stream, folder });
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
      await this.#ask({ kind: "abandon", stream });
    }
  }

  /** A number for a stream that nobody else has. */
  newStream(): number {
    this.#lastStream += 1;
    return this.#lastStream;
  }

  async #ask(request: FileRequest): Promise<FileReply> {
    this.#lastId += 1;
    const id = this.#lastId;
    const waiting = Promise.withResolvers<FileReply>();
    this.#waiting.set(id, waiting);
    const worker = this.#start();
    worker.ref();
    worker.postMessage({ id, request }, "content" in request ? [request.content] : []);
    return await waiting.promise;
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

import { Worker } from "node:worker_threads";
import { diskFault } from "./disk-fault.ts";

/** What the thread does. Paths are checked before they come here. */
export type StoreRequest =
  | {
      readonly kind: "put";
      readonly folder: string;
      readonly files: readonly { path: string; start: number; bytes: number }[];
      readonly content: ArrayBuffer;
    }
  | { readonly kind: "begin"; readonly stream: number; readonly folder: string; path: string }
  | { readonly kind: "piece"; readonly stream: number; readonly content: ArrayBuffer }
  | { readonly kind: "end"; readonly stream: number }
  | { readonly kind: "abandon"; readonly stream: number };

/** Digests of what was written, hexadecimal; undefined where a name was taken. */
export type Digests = readonly (string | undefined)[];

export type StoreReply = {
  readonly id: number;
  readonly digests: Digests;
  readonly error?: { readonly code: string | undefined; readonly message: string };
};

/**
 * The thread that writes and hashes files that came home. A thread takes longer to start than a thousand small files to
 * write, so one serves all guests of a process; it is started when first wanted and never keeps the process alive.
 */
export class StoreThread {
  readonly #waiting = new Map<number, PromiseWithResolvers<StoreReply>>();
  #worker: Worker | undefined;
  #lastId = 0;

  /** Starts the thread, so that it is there when files come. Twice is safe. */
  warm(): void {
    this.#start();
  }

  /** Has something done. What `content` holds is given away. Throws host-disk-full, or what went wrong with the files. */
  async ask(request: StoreRequest): Promise<Digests> {
    this.#lastId += 1;
    const id = this.#lastId;
    const waiting = Promise.withResolvers<StoreReply>();
    this.#waiting.set(id, waiting);
    const worker = this.#start();
    worker.ref();
    worker.postMessage({ id, request }, "content" in request ? [request.content] : []);
    const reply = await waiting.promise;
    if (reply.error === undefined) return reply.digests;
    const { code, message } = reply.error;
    throw diskFault(Object.assign(new Error(message), { code }), "an artifact");
  }

  #start(): Worker {
    if (this.#worker !== undefined) return this.#worker;
    const worker = new Worker(new URL("./store-worker.ts", import.meta.url), { env: {} });
    worker.on("message", (reply: StoreReply) => this.#hear(worker, reply));
    worker.on("error", (error) => this.#lose(error));
    worker.on("exit", () => this.#lose(new Error("the thread that stores files ended")));
    // After the listeners: one for messages takes a reference again.
    worker.unref();
    this.#worker = worker;
    return worker;
  }

  #hear(worker: Worker, reply: StoreReply): void {
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

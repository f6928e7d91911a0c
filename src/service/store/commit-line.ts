import { getCompileCacheDir } from "node:module";
import { dirname } from "node:path";
import { Worker } from "node:worker_threads";
import type { Requirement } from "#service/matching/requirement.ts";
import { type Clock, StoreError } from "#service/ports.ts";
import type { CommandInput, CommandName, CommandOutput } from "./commands.ts";
import type { Now } from "./ledger.ts";
import type { Batch, BatchReply } from "./run-batch.ts";
import { CLOSE, type FirstWord, type StoreSetup } from "./store-messages.ts";
import type { HashedToken } from "./tokens.ts";

type Waiting = {
  readonly kind: CommandName;
  readonly input: unknown;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: StoreError) => void;
};

/** Where a store has its commands done, in the order in which they are asked for. */
export interface Line extends AsyncDisposable {
  /** Has a command done; the promise is kept after its transaction is on disk. Rejects with `StoreError`. */
  ask<K extends CommandName>(kind: K, input: CommandInput<K>): Promise<CommandOutput<K>>;
  /** Hears of queued jobs after each transaction that queued some. */
  onQueued: (requirements: readonly Requirement[]) => void;
}

/** Bounds memory when the disk is slower than the callers. */
const WAITING_MAX = 20_000;
/** Bounds how long a batch keeps those behind it waiting. */
const BATCH_MAX = 512;

/**
 * The line before the store's thread, with group commit: one batch is under way at a time, and all that comes meanwhile goes
 * into the next one. So the disk is never idle while somebody waits, and the more callers there are, the more share a write.
 */
export class CommitLine implements Line {
  readonly #worker: Worker;
  readonly #clock: Clock;
  readonly #waiting: Waiting[] = [];
  readonly #ended = Promise.withResolvers<void>();
  #underWay: readonly Waiting[] | undefined;
  #isPlanned = false;
  #lost: StoreError | undefined;
  onQueued: (requirements: readonly Requirement[]) => void = () => undefined;

  private constructor(worker: Worker, clock: Clock) {
    this.#worker = worker;
    this.#clock = clock;
    worker.on("message", (reply: string) => this.#hear(JSON.parse(reply) as BatchReply));
    worker.on("error", (cause) => {
      this.#lose(new StoreError("lost", "the thread of the store died", { cause }));
    });
    worker.on("exit", () => {
      this.#lose(new StoreError("lost", "the store is closed"));
      this.#ended.resolve();
    });
  }

  /** Starts the thread. Throws `StoreError` when it cannot open the database. */
  static async open(
    clock: Clock,
    file: Pick<StoreSetup, "path" | "leaseSeconds">,
  ): Promise<{ readonly line: CommitLine; readonly tokens: readonly HashedToken[] }> {
    const setup: StoreSetup = { ...file, ...nowOf(clock) };
    const url = new URL("./store-worker.ts", import.meta.url);
    const worker = new Worker(url, { env: threadEnvironment(), workerData: setup });
    const { promise, resolve, reject } = Promise.withResolvers<FirstWord>();
    worker.once("message", (first: string) => resolve(JSON.parse(first) as FirstWord));
    worker.once("error", (cause) => {
      reject(new StoreError("failed", "the thread of the store did not start", { cause }));
    });
    const first = await promise;
    if (first.kind === "refused") {
      await worker.terminate();
      throw new StoreError(first.code, first.message);
    }
    const line = new CommitLine(worker, clock);
    return { line, tokens: first.tokens };
  }

  ask<K extends CommandName>(kind: K, input: CommandInput<K>): Promise<CommandOutput<K>> {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    if (this.#lost !== undefined) reject(this.#lost);
    else if (this.#waiting.length >= WAITING_MAX) {
      reject(new StoreError("busy", `${WAITING_MAX} calls wait for the store`));
    } else {
      this.#waiting.push({ kind, input, resolve, reject });
      this.#plan();
    }
    return promise as Promise<CommandOutput<K>>;
  }

  /** Has everything done that was asked for, then ends the thread. Twice is safe. */
  async [Symbol.asyncDispose](): Promise<void> {
    while (this.#lost === undefined && (this.#underWay !== undefined || this.#waiting.length > 0)) {
      await this.ask("tokens", undefined).catch(() => undefined);
    }
    this.#lost ??= new StoreError("lost", "the store is closed");
    this.#worker.postMessage(CLOSE);
    await this.#ended.promise;
  }

  /** In the next turn of the event loop, so that all that arrives in this one goes together. */
  #plan(): void {
    if (this.#isPlanned || this.#underWay !== undefined) return;
    this.#isPlanned = true;
    setImmediate(() => {
      this.#isPlanned = false;
      this.#send();
    });
  }

  #send(): void {
    if (this.#lost !== undefined || this.#waiting.length === 0) return;
    this.#underWay = this.#waiting.splice(0, BATCH_MAX);
    const commands = this.#underWay.map(({ kind, input }) => ({ kind, input }));
    const batch: Batch = { ...nowOf(this.#clock), commands };
    this.#worker.postMessage(JSON.stringify(batch));
  }

  #hear({ answers, queued }: BatchReply): void {
    const done = this.#underWay ?? [];
    this.#underWay = undefined;
    this.#send();
    for (const [at, { resolve, reject }] of done.entries()) {
      const answer = answers[at];
      if (answer === undefined) reject(new StoreError("failed", "no answer"));
      else if ("error" in answer) reject(new StoreError(answer.error.code, answer.error.message));
      else resolve(answer.value);
    }
    if (queued.length > 0) this.onQueued(queued);
  }

  #lose(error: StoreError): void {
    this.#lost ??= error;
    const lost = [...(this.#underWay ?? []), ...this.#waiting.splice(0)];
    this.#underWay = undefined;
    for (const { reject } of lost) reject(this.#lost);
  }
}

/** The process's compile cache, so that the thread starts in 60 ms instead of 150; nothing else of the environment. */
function threadEnvironment(): Record<string, string> {
  const folder = getCompileCacheDir();
  return folder === undefined ? {} : { NODE_COMPILE_CACHE: dirname(folder) };
}

function nowOf(clock: Clock): Now {
  return { nowMs: clock.monotonicMs(), wallMs: clock.wallMs() };
}

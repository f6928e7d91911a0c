import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";
import { setTimeout as delay } from "node:timers/promises";

const STOP_MS = 5000;

export type ChildOptions = SpawnOptions & {
  readonly stopSignal?: NodeJS.Signals;
  /** How long it may take to end before it is killed. */
  readonly stopMs?: number;
};

/** A program of ours that runs until this is disposed: asked to end, and killed when it does not. Twice is safe. */
export class Child implements AsyncDisposable {
  readonly process: ChildProcess;
  readonly ended: Promise<number | null>;
  readonly #stopSignal: NodeJS.Signals;
  readonly #stopMs: number;

  constructor(
    file: string,
    args: readonly string[],
    { stopSignal, stopMs, ...options }: ChildOptions = {},
  ) {
    this.process = spawn(file, [...args], options);
    this.#stopSignal = stopSignal ?? "SIGTERM";
    this.#stopMs = stopMs ?? STOP_MS;
    const { promise, resolve, reject } = Promise.withResolvers<number | null>();
    this.process.once("error", reject);
    this.process.once("close", (code) => resolve(code));
    promise.catch(() => undefined);
    this.ended = promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const over = this.ended.catch(() => null);
    if (this.process.exitCode === null && this.process.signalCode === null) {
      this.process.kill(this.#stopSignal);
      const isOver = await Promise.race([over.then(() => true), delay(this.#stopMs, false)]);
      if (!isOver) this.process.kill("SIGKILL");
    }
    await over;
  }
}

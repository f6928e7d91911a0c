import type { ClientChannel } from "ssh2";
import { ConnectionLost } from "./ssh-errors.ts";

/** How a command in the guest ended; both undefined when the server did not say. */
export type ExecEnd = {
  readonly exitCode: number | undefined;
  readonly signal: string | undefined;
};

/** What a command says on standard error beyond this many bytes is kept by its tail only. */
const STDERR_KEPT_BYTES = 64 * 1024;

/** Output that waits here for its reader, beside the SSH window of 2 MiB. */
const ARRIVED_BYTES_MAX = 1024 * 1024;

/**
 * One command in the guest. Standard output is a stream with backpressure (an SSH window of 2 MiB, refilled as it is
 * read) and must be read to its end, or thrown away; standard error is collected, its tail bounded.
 */
export class Exec implements Disposable {
  readonly #channel: ClientChannel;
  readonly #ended: Promise<ExecEnd>;
  #stderr: Buffer[] = [];
  #stderrBytes = 0;
  #isOver = false;
  readonly #arrived: Buffer[] = [];
  #arrivedBytes = 0;
  #news: PromiseWithResolvers<void> | undefined;

  /** `lost` aborts when the connection under the channel is gone. */
  constructor(channel: ClientChannel, lost: AbortSignal) {
    this.#channel = channel;
    channel.stderr.on("data", (piece: Buffer) => this.#keep(piece));
    const { promise, resolve, reject } = Promise.withResolvers<ExecEnd>();
    let end: ExecEnd | undefined;
    channel.once("exit", (code: number | null, signal?: string) => {
      end = { exitCode: code ?? undefined, signal: signal?.slice(0, 32) };
    });
    channel.on("data", (piece: Buffer) => this.#arrive(piece));
    channel.once("close", () => {
      this.#isOver = true;
      this.#news?.resolve();
      if (end !== undefined) return resolve(end);
      if (lost.aborted) return reject(lost.reason);
      resolve({ exitCode: undefined, signal: undefined });
    });
    channel.on("error", (error: Error) =>
      reject(new ConnectionLost(error.message, { cause: error })),
    );
    promise.catch(() => undefined);
    this.#ended = promise;
  }

  /** Throws away what the command prints. */
  discard(): void {
    this.#channel.removeAllListeners("data").resume();
    this.#arrived.length = 0;
  }

  /** What the command said on standard error so far, at most the last 64 KiB. */
  get stderr(): string {
    return Buffer.concat(this.#stderr).toString("utf8");
  }

  /** Resolves when the channel is closed and its output was read. Throws `ConnectionLost`. */
  get ended(): Promise<ExecEnd> {
    return this.#ended;
  }

  /** Sends bytes to the command, waiting while its window is full. Throws `ConnectionLost` when nobody will read them. */
  async write(piece: Uint8Array): Promise<void> {
    if (this.#isOver || !this.#channel.writable)
      throw new ConnectionLost("the command reads no more");
    if (this.#channel.write(piece)) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#channel.once("drain", resolve);
    this.#channel.once("close", resolve);
    await promise;
    this.#channel.off("drain", resolve);
    this.#channel.off("close", resolve);
  }

  /** Says that no more input comes. Twice is safe. */
  endInput(): void {
    this.#channel.end();
  }

  /** The next piece of standard output; undefined at its end. */
  async read(): Promise<Buffer | undefined> {
    for (;;) {
      const piece = this.#arrived.shift();
      if (piece !== undefined) {
        this.#arrivedBytes -= piece.length;
        if (this.#arrivedBytes <= ARRIVED_BYTES_MAX / 2) this.#channel.resume();
        return piece;
      }
      if (this.#isOver) return undefined;
      this.#news = Promise.withResolvers<void>();
      await this.#news.promise;
    }
  }

  /** Closes the channel; what still comes is thrown away. Twice is safe. */
  [Symbol.dispose](): void {
    this.discard();
    if (!this.#isOver) this.#channel.close();
  }

  #arrive(piece: Buffer): void {
    this.#arrived.push(piece);
    this.#arrivedBytes += piece.length;
    if (this.#arrivedBytes > ARRIVED_BYTES_MAX) this.#channel.pause();
    this.#news?.resolve();
  }

  #keep(piece: Buffer): void {
    this.#stderr.push(piece);
    this.#stderrBytes += piece.length;
    if (this.#stderrBytes <= 2 * STDERR_KEPT_BYTES && this.#stderr.length < 1000) return;
    this.#stderr = [Buffer.concat(this.#stderr).subarray(-STDERR_KEPT_BYTES)];
    this.#stderrBytes = this.#stderr[0]?.length ?? 0;
  }
}

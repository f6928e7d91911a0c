import type { ClientChannel } from "ssh2";
import { ConnectionLost } from "./ssh-errors.ts";

/** How a command in the guest ended; both undefined when the server did not say, or nobody waited for it. */
export type ExecEnd = {
  readonly exitCode: number | undefined;
  readonly signal: string | undefined;
};

/** What a command says on standard error beyond this many bytes is kept by its tail only. */
const STDERR_KEPT_BYTES = 64 * 1024;
/** Output that waits here for its reader, beside the SSH window of 2 MiB. */
const ARRIVED_BYTES_MAX = 1024 * 1024;
const SIGNAL_CHARACTERS_MAX = 32;

/**
 * One command in the guest. Standard output comes with backpressure (an SSH window of 2 MiB, refilled as it is
 * read) and must be read to its end, or thrown away; standard error is collected, its tail bounded.
 */
export class Exec implements Disposable {
  readonly #channel: ClientChannel;
  readonly #over = Promise.withResolvers<ExecEnd>();
  readonly #arrived: Buffer[] = [];
  #arrivedBytes = 0;
  #news = Promise.withResolvers<void>();
  #stderr: Buffer[] = [];
  #stderrBytes = 0;
  #isOver = false;

  /** `lost` aborts when the connection under the channel is gone. */
  constructor(channel: ClientChannel, lost: AbortSignal) {
    this.#channel = channel;
    this.#over.promise.catch(() => undefined);
    let end: ExecEnd = { exitCode: undefined, signal: undefined };
    channel.on("data", (piece: Buffer) => this.#arrive(piece));
    channel.stderr.on("data", (piece: Buffer) => this.#keep(piece));
    channel.once("exit", (code: number | null, signal?: string) => {
      end = {
        exitCode: code ?? undefined,
        signal: signal?.slice(0, SIGNAL_CHARACTERS_MAX),
      };
    });
    channel.once("close", () => {
      const isTold = end.exitCode !== undefined || end.signal !== undefined;
      if (lost.aborted && !isTold) this.#over.reject(lost.reason);
      this.#end(end);
    });
    channel.on("error", (error: Error) => {
      this.#over.reject(new ConnectionLost(error.message, { cause: error }));
      this.#end(end);
    });
  }

  /** Throws away what the command prints. */
  discard(): void {
    this.#channel.removeAllListeners("data").resume();
    this.#arrived.length = 0;
  }

  /** What the command said on standard error so far, at most the last 64 KiB. */
  get stderr(): string {
    return Buffer.concat(this.#stderr).toString("utf8").slice(-STDERR_KEPT_BYTES);
  }

  /** Resolves when the channel is closed and its output was read, or when this is disposed. Throws `ConnectionLost`. */
  get ended(): Promise<ExecEnd> {
    return this.#over.promise;
  }

  /** Sends bytes to the command, waiting while its window is full. Throws `ConnectionLost` when nobody will read them. */
  async write(piece: Uint8Array): Promise<void> {
    if (this.#isOver || !this.#channel.writable) {
      throw new ConnectionLost("the command reads no more");
    }
    if (this.#channel.write(piece)) return;
    const drained = Promise.withResolvers<void>();
    this.#channel.once("drain", drained.resolve);
    await Promise.race([drained.promise, this.#over.promise]);
    this.#channel.off("drain", drained.resolve);
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
      await this.#news.promise;
      this.#news = Promise.withResolvers();
    }
  }

  /** Closes the channel, without waiting for the guest to agree; what still comes is thrown away. Twice is safe. */
  [Symbol.dispose](): void {
    if (!this.#isOver) this.#channel.close();
    this.discard();
    this.#end({ exitCode: undefined, signal: undefined });
  }

  #end(end: ExecEnd): void {
    this.#isOver = true;
    this.#over.resolve(end);
    this.#news.resolve();
  }

  #arrive(piece: Buffer): void {
    this.#arrived.push(piece);
    this.#arrivedBytes += piece.length;
    if (this.#arrivedBytes > ARRIVED_BYTES_MAX) this.#channel.pause();
    this.#news.resolve();
  }

  #keep(piece: Buffer): void {
    this.#stderr.push(piece);
    this.#stderrBytes += piece.length;
    if (this.#stderrBytes <= 2 * STDERR_KEPT_BYTES && this.#stderr.length < 1000) return;
    this.#stderr = [Buffer.concat(this.#stderr).subarray(-STDERR_KEPT_BYTES)];
    this.#stderrBytes = this.#stderr[0]?.length ?? 0;
  }
}

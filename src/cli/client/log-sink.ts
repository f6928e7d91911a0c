import { once } from "node:events";
import { UsageError } from "#cli/exit-code.ts";
import { TerminalText } from "#lib/terminal-text.ts";

/** Where a log goes. */
export type Sink = {
  /** Resolves when more may be written. */
  write(bytes: Uint8Array): Promise<void>;
  /** What was still to be written is out. */
  end(): Promise<void>;
};

/** What fits into one JSON object; V8's texts end at 512 MiB. */
const JSON_BYTES_MAX = 64 * 2 ** 20;

/** A log as one JSON object, which `print` gets at the end. Throws `UsageError` for a log that is too long for that. */
export class JsonSink implements Sink {
  readonly #print: (log: { readonly bytes: number; readonly base64: string }) => Promise<void>;
  readonly #pieces: Uint8Array[] = [];
  #bytes = 0;

  constructor(print: (log: { readonly bytes: number; readonly base64: string }) => Promise<void>) {
    this.#print = print;
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#bytes += bytes.length;
    if (this.#bytes > JSON_BYTES_MAX)
      throw new UsageError("the log is longer than 64 MiB; print it without --json");
    this.#pieces.push(bytes);
  }

  async end(): Promise<void> {
    await this.#print({
      bytes: this.#bytes,
      base64: Buffer.concat(this.#pieces).toString("base64"),
    });
  }
}

/**
 * Where a log goes: standard output, byte for byte; on a terminal as harmless text. A write waits for its reader. `onGone`
 * is called when there is none any more, as in `| head`, or the disk behind it is full.
 */
export class LogSink implements Sink {
  readonly #text = process.stdout.isTTY ? new TerminalText() : undefined;
  readonly #onGone: (error: Error) => void;

  constructor(onGone: (error: Error) => void) {
    this.#onGone = onGone;
    process.stdout.on("error", this.#onGone);
  }

  async write(bytes: Uint8Array): Promise<void> {
    await this.#put(this.#text === undefined ? bytes : this.#text.push(bytes));
  }

  async end(): Promise<void> {
    await this.#put(this.#text?.end() ?? "");
    process.stdout.off("error", this.#onGone);
  }

  async #put(what: Uint8Array | string): Promise<void> {
    if (what.length > 0 && !process.stdout.write(what) && process.stdout.writable)
      await Promise.race([once(process.stdout, "drain"), once(process.stdout, "close")]).catch(
        () => undefined,
      );
  }
}

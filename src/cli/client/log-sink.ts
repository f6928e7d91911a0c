import { once } from "node:events";
import { TerminalText } from "#lib/terminal-text.ts";

/**
 * Where a log goes: standard output, byte for byte; on a terminal as harmless text. A write waits for its reader. `onGone`
 * is called when there is none any more, as in `| head`, or the disk behind it is full.
 */
export class LogSink {
  readonly #text = process.stdout.isTTY ? new TerminalText() : undefined;
  readonly #onGone: (error: Error) => void;

  constructor(onGone: (error: Error) => void) {
    this.#onGone = onGone;
    process.stdout.on("error", this.#onGone);
  }

  async write(bytes: Uint8Array): Promise<void> {
    await this.#put(this.#text === undefined ? bytes : this.#text.push(bytes));
  }

  /** What was still to be written is out. */
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

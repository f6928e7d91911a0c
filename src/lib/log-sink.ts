import { TerminalOutput } from "./terminal-output.ts";

/** Far more than a reader is ever behind that reads at all. */
const QUEUE_BYTES_MAX = 1024 * 1024;
/** Lines that come together are written together: a write costs as much as ten lines. */
const GATHER_MS = 10;
const CLOSE_MS = 1_000;

/**
 * Where log lines go: a descriptor that may stand still for as long as it likes. Never waits, keeps at most about 1 MiB that
 * nobody takes, leaves out whole lines after that, and says how many once there is room.
 */
export class LogSink implements AsyncDisposable {
  readonly #fd: number;
  readonly #sayDropped: (lines: number) => string;
  readonly #output = new TerminalOutput();
  #gathered = "";
  #timer: NodeJS.Timeout | undefined;
  #dropped = 0;

  /** `sayDropped` gives the line that stands in place of so many. */
  constructor(fd: number, sayDropped: (lines: number) => string) {
    this.#fd = fd;
    this.#sayDropped = sayDropped;
  }

  /** Takes a line with its end. Never throws. */
  write(line: string): void {
    const waitingBytes = this.#output.queuedBytes + this.#gathered.length;
    if (waitingBytes > QUEUE_BYTES_MAX || (this.#dropped > 0 && this.#output.queuedBytes > 0)) {
      this.#dropped += 1;
      this.#timer ??= setTimeout(() => this.#flush(), GATHER_MS).unref();
      return;
    }
    this.#gathered += line;
    this.#timer ??= setTimeout(() => this.#flush(), GATHER_MS).unref();
  }

  /** Waits until everything is written, a second at most: whoever stands still is not waited for at an end. Twice is safe. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#flush();
    await this.#output.isStuckAfter(CLOSE_MS);
    if (this.#dropped === 0) return;
    this.#flush();
    await this.#output.isStuckAfter(CLOSE_MS);
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#output.write(this.#fd, this.#gathered);
    this.#gathered = "";
    if (this.#dropped === 0) return;
    if (this.#output.queuedBytes === 0) {
      this.#output.write(this.#fd, this.#sayDropped(this.#dropped));
      this.#dropped = 0;
    } else this.#timer = setTimeout(() => this.#flush(), 10 * GATHER_MS).unref();
  }
}

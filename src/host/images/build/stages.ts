/** A line at least so often while a stage runs, so that nobody thinks it hangs. */
const TICK_MS = 10_000;

/** What a build is at: told as each stage begins, and again and again while it lasts. */
export class Stages implements Disposable {
  current = "start";
  readonly #onProgress: (line: string) => void;
  readonly #startMs = performance.now();
  readonly #timer: NodeJS.Timeout;
  #rest = "";

  constructor(onProgress: (line: string) => void) {
    this.#onProgress = onProgress;
    this.#timer = setInterval(() => this.#tell(), TICK_MS);
  }

  enter(stage: string): void {
    this.current = stage;
    this.#tell();
  }

  /** Reads the lines `stage: …` in a recipe's output, however it is cut into pieces. */
  read(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = (lines.pop() ?? "").slice(-4096);
    for (const line of lines) {
      const stage = /^stage: (.{1,80})$/.exec(line)?.[1];
      if (stage !== undefined) this.enter(stage);
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #tell(): void {
    const seconds = Math.round((performance.now() - this.#startMs) / 1000);
    this.#onProgress(`${this.current} (${seconds} s)`);
  }
}

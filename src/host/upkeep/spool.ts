import type { Evidence, Remains } from "./ports.ts";

type Bytes = Readonly<Record<Remains["state"], number>>;

/** How much of the disk attempts take, as of the last look: looking reads every folder, and is no answer to a question. */
export class Spool {
  readonly #evidence: Evidence;
  #bytes: Bytes | undefined;

  constructor(evidence: Evidence) {
    this.#evidence = evidence;
  }

  /** By state; undefined before the first look. */
  get bytes(): Bytes | undefined {
    return this.#bytes;
  }

  async look(signal: AbortSignal): Promise<void> {
    const bytes = { open: 0, finished: 0, aside: 0, unreadable: 0 };
    for (const { name, state } of await this.#evidence.list()) {
      signal.throwIfAborted();
      bytes[state] += await this.#evidence.bytesOf(name);
    }
    this.#bytes = bytes;
  }
}

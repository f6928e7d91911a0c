import type { Screen } from "#host/narration/screen.ts";
import { bytesInWords } from "#lib/words.ts";
import type { DigestedInput } from "./digest-inputs.ts";
import type { JobTeller } from "./job-teller.ts";

const LINE_EVERY_MS = 5_000;

/** Tells how reading and sending of inputs goes: in the status, in a line now and then, and in one at the end. */
export class UploadProgress {
  readonly #screen: Screen;
  readonly #teller: JobTeller;
  #readBytes = 0;
  #sentBytes = 0;
  #saidMs = performance.now();
  /** What the service had of each input when it was asked first, and has now. */
  readonly #had = new Map<string, number>();

  constructor(screen: Screen, teller: JobTeller) {
    this.#screen = screen;
    this.#teller = teller;
  }

  read(bytes: number): void {
    this.#readBytes += bytes;
    this.#tell("reading inputs", `read ${bytesInWords(this.#readBytes)} of inputs`);
  }

  uploaded({ wire }: DigestedInput, haveBytes: number): void {
    const before = this.#had.get(wire.sha256) ?? haveBytes;
    this.#sentBytes += Math.max(haveBytes - before, 0);
    this.#had.set(wire.sha256, haveBytes);
    this.#tell("sending inputs", `sent ${bytesInWords(this.#sentBytes)} of inputs`);
  }

  /** All are there. */
  end(inputs: readonly DigestedInput[]): void {
    if (inputs.length === 0) return;
    const size = bytesInWords(inputs.reduce((sum, { wire }) => sum + wire.bytes, 0));
    const isNone = this.#sentBytes === 0;
    this.#screen.line(
      isNone
        ? `inputs: ${size}, all there already`
        : `inputs: ${size}, ${bytesInWords(this.#sentBytes)} sent`,
    );
  }

  #tell(doing: string, line: string): void {
    this.#teller.do(doing);
    if (performance.now() - this.#saidMs < LINE_EVERY_MS) return;
    this.#saidMs = performance.now();
    this.#screen.line(line);
  }
}

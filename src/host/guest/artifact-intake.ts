import { mkdir } from "node:fs/promises";
import type { Artifact } from "#job/verdict.ts";
import { diskFault } from "./disk-fault.ts";
import type { FileReply } from "./file-requests.ts";
import type { FileThread } from "./file-thread.ts";
import type { CollectionCaps } from "./guest-options.ts";
import type { RefusalCount } from "./refusals.ts";

/** Waking a thread that sleeps costs a tenth of a millisecond and more, so it is woken for this much at a time. */
const PIECE_BYTES = 256 * 1024;
/** While the thread works on one, the next ones are filled. */
const PIECES = 4;

/** The guest's archive cannot be read any further; what came until then is kept. */
export class BadOffer extends Error {
  override readonly name = "BadOffer";
}

/** What an archive came to. */
export type OfferEnd = { readonly refused: RefusalCount; readonly isCutShort: boolean };

/**
 * Archives from a guest on their way to the file thread, which unpacks and keeps what may be kept: see `Harvest`. Pieces go
 * through memory that both threads see, so nothing is allocated for them however much comes.
 */
export class ArtifactIntake implements AsyncDisposable {
  readonly #thread: FileThread;
  readonly #stream: number;
  readonly #memory: Uint8Array;
  /** What the thread has not answered yet, by the piece of memory. */
  readonly #busy: (Promise<void> | undefined)[] = [];
  #piece = 0;
  #filled = 0;
  #failure: unknown;

  private constructor(thread: FileThread, memory: SharedArrayBuffer) {
    this.#thread = thread;
    this.#stream = thread.newStream();
    this.#memory = new Uint8Array(memory);
  }

  /** Makes the folder, which must be nobody else's. Throws host-disk-full. */
  static async open(
    folder: string,
    caps: CollectionCaps,
    thread: FileThread,
  ): Promise<ArtifactIntake> {
    const memory = new SharedArrayBuffer(PIECES * PIECE_BYTES);
    const intake = new ArtifactIntake(thread, memory);
    try {
      await mkdir(folder, { recursive: true, mode: 0o755 });
    } catch (error) {
      throw diskFault(error, "the artifacts");
    }
    intake.#note(
      await thread.ask({ kind: "harvest", stream: intake.#stream, folder, caps, memory }),
    );
    return intake;
  }

  /** Begins an archive, from its start. */
  async begin(): Promise<void> {
    this.#failure = undefined;
    this.#filled = 0;
    this.#note(await this.#thread.ask({ kind: "offer", stream: this.#stream }));
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Takes the next bytes, and waits while the thread is behind. Throws `BadOffer` or host-disk-full, for these or earlier ones. */
  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      if (this.#failure !== undefined) throw this.#failure;
      const part = bytes.subarray(at, at + PIECE_BYTES - this.#filled);
      this.#memory.set(part, this.#piece * PIECE_BYTES + this.#filled);
      this.#filled += part.length;
      at += part.length;
      if (this.#filled === PIECE_BYTES) await this.#hand();
    }
  }

  /**
   * Ends the archive, whole or cut off: then a file that is not complete goes, and is taken when it is offered again. One
   * that says to be whole and ends in a file is cut short: that file is refused. Throws as `write`; what was refused until
   * then is returned by the next call.
   */
  async end(isWhole: boolean): Promise<OfferEnd> {
    if (this.#filled > 0) await this.#hand();
    await Promise.all(this.#busy);
    if (isWhole && this.#failure !== undefined) throw this.#failure;
    const reply = await this.#thread.ask({ kind: "offer-end", stream: this.#stream, isWhole });
    this.#note(reply);
    if (isWhole && this.#failure !== undefined) throw this.#failure;
    const refused = reply.refused ?? { listed: [], more: 0 };
    return { refused, isCutShort: reply.isCutShort === true };
  }

  /** All files that came home, by path. Nothing may follow. */
  async settle(): Promise<Artifact[]> {
    const { stored } = await this.#thread.ask({ kind: "settle", stream: this.#stream });
    if (stored === undefined || stored.bytes.length === 0) return [];
    const artifacts = stored.paths.split("\n").map(
      (path, index): Artifact => ({
        path,
        bytes: stored.bytes[index] ?? Number.NaN,
        sha256: stored.sha256.slice(64 * index, 64 * (index + 1)),
      }),
    );
    return artifacts.sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  /** Lets go of what the thread holds. Twice is safe, and so is `settle` before. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#thread.ask({ kind: "settle", stream: this.#stream });
  }

  async #hand(): Promise<void> {
    const [start, bytes] = [this.#piece * PIECE_BYTES, this.#filled];
    this.#busy[this.#piece] = this.#thread
      .ask({ kind: "piece", stream: this.#stream, start, bytes })
      .then((reply) => this.#note(reply))
      .catch((error: unknown) => {
        this.#failure ??= error;
      });
    this.#filled = 0;
    this.#piece = (this.#piece + 1) % PIECES;
    await this.#busy[this.#piece];
  }

  #note({ error }: FileReply): void {
    if (error === undefined) return;
    const { blame, code, message } = error;
    this.#failure ??=
      blame === "guest"
        ? new BadOffer(message)
        : diskFault(Object.assign(new Error(message), { code }), "an artifact");
  }
}

import type { Artifact } from "#job/verdict.ts";
import type { Globs } from "./artifact-globs.ts";
import { ArtifactNames } from "./artifact-names.ts";
import type { ArtifactStore } from "./artifact-store.ts";
import type { CollectionCaps } from "./guest-options.ts";
import { type ArchiveEntry, skip, wholeContent } from "./read-archive.ts";
import type { Refusals } from "./refusals.ts";

/** Files up to this size are stored while the next ones come; larger ones go to disk piece by piece. */
const SMALL_FILE_BYTES = 256 * 1024;
/** Read but not stored yet. */
const STORES_AT_ONCE = 512;
const PENDING_BYTES_MAX = 4 * 1024 * 1024;

/** The whole offer is more than anybody agreed to take: what came until then is kept. */
export class OfferTooLarge extends Error {
  override readonly name = "OfferTooLarge";
}

/** What came home so far. Survives a lost connection, after which the guest offers everything again. */
export class Harvest {
  readonly #store: ArtifactStore;
  readonly #caps: CollectionCaps;
  readonly #refusals: Refusals;
  readonly #names = new ArtifactNames();
  readonly #artifacts: Artifact[] = [];
  /** Names, as the guest says them, that were dealt with: in this offer, and in any. */
  #offered = new Set<string>();
  readonly #settled = new Set<string>();
  readonly #pending = new Set<Promise<void>>();
  #failure: unknown;
  #bytes = 0;
  #pendingBytes = 0;
  #skippedBytes = 0;

  constructor(store: ArtifactStore, caps: CollectionCaps, refusals: Refusals) {
    this.#store = store;
    this.#caps = caps;
    this.#refusals = refusals;
  }

  /** Begins an offer: names that were settled in an earlier one are passed over. */
  begin(): void {
    this.#offered = new Set();
  }

  /** Deals with one entry of the guest's archive. Throws `OfferTooLarge`, host-disk-full, or `ArchiveError`. */
  async take(entry: ArchiveEntry): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    const why = this.#complaintOf(entry);
    if (why === "settled") return await this.#pass(entry);
    if (why !== undefined) {
      this.#refuse(entry, why);
      return await this.#pass(entry);
    }
    const admitted = this.#names.admit(entry.name);
    if ("why" in admitted) {
      this.#refuse(entry, admitted.why);
      return await this.#pass(entry);
    }
    this.#bytes += entry.bytes;
    if (entry.bytes > SMALL_FILE_BYTES) {
      // What breaks off in the middle is not settled, so that a second offer of it is taken.
      this.#settled.delete(entry.name);
      const artifact = await this.#store.putStream(admitted.path, entry.content).catch((error) => {
        this.#names.forget(entry.name);
        this.#bytes -= entry.bytes;
        throw error;
      });
      this.#settled.add(entry.name);
      return this.#keep(entry, artifact);
    }
    const content = await wholeContent(entry);
    const stored = this.#store
      .put(admitted.path, content)
      .then((artifact) => this.#keep(entry, artifact))
      .catch((error: unknown) => {
        this.#failure = error;
      })
      .finally(() => this.#pending.delete(stored));
    this.#pending.add(stored);
    this.#pendingBytes += entry.bytes;
    if (this.#pending.size >= STORES_AT_ONCE || this.#pendingBytes >= PENDING_BYTES_MAX) {
      await this.stored();
    }
  }

  /** Resolves when all that was taken is stored. Throws host-disk-full. */
  async stored(): Promise<void> {
    this.#store.flush();
    await Promise.all(this.#pending);
    this.#pendingBytes = 0;
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Takes what the runner and the guest's tar had to say. */
  hear(stderr: string, glob: Globs): void {
    for (const line of stderr.split("\n").filter((text) => text !== "")) {
      const [, word, index] = /^(nothing|breaks) (\d{1,4})$/.exec(line) ?? [];
      const pattern = glob.patterns[Number(index) - 1];
      if (word === undefined || pattern === undefined) {
        this.#refusals.add(line, "said by the guest's tar");
      } else if (word === "nothing") this.#refusals.add(pattern, "matched nothing");
      else this.#refusals.add(pattern, "matches names with line breaks in them");
    }
  }

  artifacts(): Artifact[] {
    return this.#artifacts.toSorted((a, b) => (a.path < b.path ? -1 : 1));
  }

  /** Why an entry is not taken; "settled" when it was dealt with in an earlier offer. */
  #complaintOf(entry: ArchiveEntry): string | undefined {
    if (this.#offered.size >= this.#caps.files) {
      throw new OfferTooLarge(`there are more than ${this.#caps.files} files`);
    }
    if (this.#offered.has(entry.name)) return "the name comes twice";
    this.#offered.add(entry.name);
    if (this.#settled.has(entry.name)) return "settled";
    this.#settled.add(entry.name);
    if (!entry.isFile) return "not a regular file";
    if (entry.bytes > this.#caps.fileBytes) return `larger than ${this.#caps.fileBytes} bytes`;
    if (this.#bytes + entry.bytes > this.#caps.totalBytes) {
      return `all files together are larger than ${this.#caps.totalBytes} bytes`;
    }
    return undefined;
  }

  async #pass(entry: ArchiveEntry): Promise<void> {
    this.#skippedBytes += entry.bytes;
    if (this.#skippedBytes > this.#caps.totalBytes) {
      throw new OfferTooLarge("the guest offers more than can be passed over");
    }
    await skip(entry);
  }

  #refuse({ name }: ArchiveEntry, why: string): void {
    this.#refusals.add(name.startsWith("./") ? name.slice(2) : name, why);
  }

  #keep(entry: ArchiveEntry, artifact: Artifact | undefined): void {
    if (artifact !== undefined) this.#artifacts.push(artifact);
    else this.#refuse(entry, "the name is taken by another file or folder");
  }
}

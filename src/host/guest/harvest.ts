import type { Artifact } from "#job/verdict.ts";
import type { ArchiveEntry, ArchiveTaker } from "#lib/tar/read-archive.ts";
import { ArtifactNames } from "./artifact-names.ts";
import type { CollectionCaps } from "./guest-options.ts";
import { NewFile } from "./new-file.ts";
import type { Refusals } from "./refusals.ts";

/** The whole offer is more than anybody agreed to take: what came until then is kept. */
export class OfferTooLarge extends Error {
  override readonly name = "OfferTooLarge";
}

/**
 * Files that come home, below a folder of their own that nobody else writes to. A file gets its checked name only when that is
 * free; nothing is ever replaced and no link followed. Its SHA-256 is what it is known by from then on. What breaks off
 * leaves nothing. It survives a lost connection, after which the guest offers everything again.
 */
export class Harvest implements ArchiveTaker {
  readonly #folder: string;
  readonly #caps: CollectionCaps;
  readonly #refusals: Refusals;
  readonly #names = new ArtifactNames();
  readonly artifacts: Artifact[] = [];
  /** Names, as the guest says them, that were dealt with: in this offer, and in any. */
  #offered = new Set<string>();
  readonly #settled = new Set<string>();
  /** The file that is being written; undefined while an entry is passed over. */
  #file: NewFile | undefined;
  #entry: { readonly name: string; readonly path: string; readonly bytes: number } | undefined;
  #bytes = 0;
  #skippedBytes = 0;

  constructor(folder: string, caps: CollectionCaps, refusals: Refusals) {
    this.#folder = folder;
    this.#caps = caps;
    this.#refusals = refusals;
  }

  /** Begins an offer: names that were settled in an earlier one are passed over. */
  offer(): void {
    this.#offered = new Set();
    this.#skippedBytes = 0;
  }

  /** Takes or refuses a file. Throws `OfferTooLarge`, or what the file system says of a full disk. */
  begin(entry: ArchiveEntry): void {
    const why = this.#open(entry);
    if (why === undefined) return;
    if (why !== "settled") this.#refuse(entry.name, why);
    this.#skippedBytes += entry.bytes;
    if (this.#skippedBytes > this.#caps.totalBytes) {
      throw new OfferTooLarge("the guest offers more than can be passed over");
    }
  }

  content(part: Uint8Array): void {
    this.#file?.write(part);
  }

  end(): void {
    if (this.#file === undefined || this.#entry === undefined) return;
    const { name, path, bytes } = this.#entry;
    this.artifacts.push({ path, bytes, sha256: this.#file.finish() });
    this.#settled.add(name);
    this.#file = undefined;
  }

  /** Refuses the file that is being read, whose end does not come: true when there is one. */
  refuseUnfinished(): boolean {
    const { name } = this.#entry ?? {};
    if (this.#file === undefined || name === undefined) return false;
    this.breakOff();
    this.#refuse(name, "it became shorter while it was read");
    return true;
  }

  /** Ends an offer, whole or not: a file that is not complete goes, and a second offer of it is taken. Twice is safe. */
  breakOff(): void {
    this.#file?.abandon();
    if (this.#file !== undefined && this.#entry !== undefined) {
      this.#names.forget(this.#entry.name);
      this.#bytes -= this.#entry.bytes;
    }
    this.#file = undefined;
  }

  /** Begins a file, or says why not. */
  #open(entry: ArchiveEntry): string | undefined {
    const { name, bytes } = entry;
    const why = this.#complaintOf(entry);
    if (why !== undefined) return why;
    const admitted = this.#names.admit(name);
    if ("why" in admitted) return admitted.why;
    this.#file = NewFile.create(`${this.#folder}/${admitted.path}`, bytes);
    if (this.#file === undefined) return "the name is taken by another file or folder";
    this.#bytes += bytes;
    this.#entry = { name, path: admitted.path, bytes };
    return undefined;
  }

  /** Why an entry is not taken; "settled" when it was dealt with in an earlier offer. */
  #complaintOf({ name, isFile, bytes }: ArchiveEntry): string | undefined {
    if (this.#offered.size >= this.#caps.files) {
      throw new OfferTooLarge(`there are more than ${this.#caps.files} files`);
    }
    if (this.#offered.has(name)) return "the name comes twice";
    this.#offered.add(name);
    if (this.#settled.has(name)) return "settled";
    if (!isFile) return "not a regular file";
    if (bytes > this.#caps.fileBytes) return `larger than ${this.#caps.fileBytes} bytes`;
    if (this.#bytes + bytes > this.#caps.totalBytes) {
      return `all files together are larger than ${this.#caps.totalBytes} bytes`;
    }
    return undefined;
  }

  #refuse(name: string, why: string): void {
    this.#settled.add(name);
    this.#refusals.add(name.startsWith("./") ? name.slice(2) : name, why);
  }
}

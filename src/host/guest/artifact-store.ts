import { createHash } from "node:crypto";
import { link, mkdir, open, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Artifact } from "#job/verdict.ts";
import { diskFault } from "./disk-fault.ts";

/** Contents lie under their digest here until all names are placed. */
const OBJECTS = ".objects";

/**
 * Files that came home: each content is stored once, under its SHA-256, and then given its checked name by a hard link,
 * which never replaces anything and never follows a link. Writes only below its own folder, which nobody else writes to.
 */
export class ArtifactStore implements AsyncDisposable {
  readonly #folder: string;
  readonly #folders = new Map<string, Promise<void>>();
  readonly #objects = new Map<string, Promise<string>>();
  #streams = 0;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** Makes the folder. Throws host-disk-full. */
  static async open(folder: string): Promise<ArtifactStore> {
    await guarded(mkdir(join(folder, OBJECTS), { recursive: true, mode: 0o755 }));
    return new ArtifactStore(folder);
  }

  /** Stores a file that is whole in memory. Undefined when its path is taken, by a folder say, or one of its folders' by a file. */
  async put(path: string, content: Buffer): Promise<Artifact | undefined> {
    const sha256 = createHash("sha256").update(content).digest("hex");
    let stored = this.#objects.get(sha256);
    if (stored === undefined) {
      stored = guarded(this.#write(sha256, content));
      this.#objects.set(sha256, stored);
    }
    const object = await stored;
    if (!(await this.#place(object, path))) return undefined;
    return { path, bytes: content.length, sha256 };
  }

  /** Stores a file piece by piece. `onPiece` hears of each. Throws what the stream throws; then nothing of it is left. */
  async putStream(path: string, content: AsyncIterable<Buffer>): Promise<Artifact | undefined> {
    this.#streams += 1;
    const incoming = join(this.#folder, OBJECTS, `incoming-${this.#streams}`);
    const hash = createHash("sha256");
    let bytes = 0;
    try {
      const file = await guarded(open(incoming, "wx", 0o644));
      try {
        for await (const piece of content) {
          hash.update(piece);
          bytes += piece.length;
          await guarded(file.appendFile(piece));
        }
      } finally {
        await file.close();
      }
      const sha256 = hash.digest("hex");
      const object = join(this.#folder, OBJECTS, sha256);
      if (!this.#objects.has(sha256)) this.#objects.set(sha256, linkOnce(incoming, object));
      await this.#objects.get(sha256);
      if (!(await this.#place(object, path))) return undefined;
      return { path, bytes, sha256 };
    } finally {
      await rm(incoming, { force: true });
    }
  }

  /** Removes the store of contents; what was placed stays. */
  async [Symbol.asyncDispose](): Promise<void> {
    await rm(join(this.#folder, OBJECTS), { recursive: true, force: true });
  }

  async #write(sha256: string, content: Buffer): Promise<string> {
    const object = join(this.#folder, OBJECTS, sha256);
    const file = await open(object, "wx", 0o644);
    try {
      await file.write(content);
    } finally {
      await file.close();
    }
    return object;
  }

  async #place(object: string, path: string): Promise<boolean> {
    if (path.split("/")[0]?.toLowerCase() === OBJECTS) return false;
    const target = join(this.#folder, path);
    try {
      await this.#makeFolder(dirname(target));
      await link(object, target);
      return true;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "EEXIST" || code === "ENOTDIR") return false;
      throw diskFault(error, "an artifact");
    }
  }

  async #makeFolder(folder: string): Promise<void> {
    let made = this.#folders.get(folder);
    if (made === undefined) {
      made = mkdir(folder, { recursive: true, mode: 0o755 }).then(() => undefined);
      this.#folders.set(folder, made);
    }
    await made;
  }
}

async function linkOnce(from: string, to: string): Promise<string> {
  await guarded(link(from, to));
  return to;
}

async function guarded<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw diskFault(error, "an artifact");
  }
}

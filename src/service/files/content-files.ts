import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import type { Readable } from "node:stream";
import { untilAborted } from "#lib/deadline.ts";
import {
  type ContentKey,
  type Contents,
  FilesError,
  type Have,
  type Span,
  type Written,
} from "#service/file-ports.ts";
import { filesError, ifThere, makeLastingFolder, sizesIn, sync, writeOrNothing } from "./disk.ts";
import type { Footprint } from "./footprint.ts";
import { artifactFolder, contentPath, shelfOf } from "./paths.ts";

/** Digests of parts that are remembered; a part beyond is read again when its upload goes on. */
const DIGESTS_MAX = 256;

type Upload = { readonly newer: AbortController; readonly ended: Promise<unknown> };
type Part = {
  readonly path: string;
  readonly shelf: string;
  haveBytes: number;
  readonly hash: Hash;
};

/** Contents as files below a folder. Only one process may write there. */
export class ContentFiles implements Contents {
  readonly #root: string;
  readonly #footprint: Footprint;
  readonly #uploads = new Map<string, Upload>();
  /** The last work that holds each content: one goes after the other. */
  readonly #holds = new Map<string, Promise<unknown>>();
  /** How far each part was digested, oldest first. */
  readonly #digests = new Map<string, Part>();

  /** Over a folder that is there; what is written counts in `footprint`. */
  constructor(root: string, footprint: Footprint) {
    this.#root = root;
    this.#footprint = footprint;
  }

  async have(key: ContentKey): Promise<Have> {
    const path = contentPath(this.#root, key);
    const whole = await ifThere(stat(path));
    if (whole !== undefined) return { haveBytes: whole.size, isComplete: true };
    const haveBytes = (await ifThere(stat(`${path}.part`)))?.size ?? 0;
    return { haveBytes, isComplete: false };
  }

  async write(
    key: ContentKey,
    at: { readonly offset: number; readonly totalBytes: number },
    source: AsyncIterable<Uint8Array>,
  ): Promise<Written> {
    const path = contentPath(this.#root, key);
    const before = this.#uploads.get(path);
    before?.newer.abort(superseded());
    const { promise: ended, resolve } = Promise.withResolvers<void>();
    const upload: Upload = { newer: new AbortController(), ended };
    this.#uploads.set(path, upload);
    try {
      await before?.ended;
      return await this.#writeNow(key, at, untilNewer(source, upload.newer.signal));
    } finally {
      if (this.#uploads.get(path) === upload) this.#uploads.delete(path);
      resolve();
    }
  }

  async #writeNow(
    key: ContentKey,
    { offset, totalBytes }: { readonly offset: number; readonly totalBytes: number },
    source: AsyncIterable<Uint8Array>,
  ): Promise<Written> {
    const there = await this.have(key);
    if (there.isComplete) return { kind: "taken", ...there };
    if (offset !== there.haveBytes) return { kind: "wrong-offset", ...there };
    const path = contentPath(this.#root, key);
    const part = await this.#partOf(key, offset).catch(rethrow);
    await this.#fill(part, source);
    if (part.haveBytes < totalBytes)
      return { kind: "taken", haveBytes: part.haveBytes, isComplete: false };
    const isRight = part.haveBytes === totalBytes && part.hash.copy().digest("hex") === key.sha256;
    this.#digests.delete(part.path);
    if (isRight) {
      await complete(part.path, path).catch(rethrow);
      return { kind: "taken", haveBytes: totalBytes, isComplete: true };
    }
    await rm(part.path, { force: true }).catch(rethrow);
    this.#footprint.add(part.shelf, -part.haveBytes);
    return { kind: "wrong-digest" };
  }

  /** A part with its digest so far, from memory or read again. */
  async #partOf(key: ContentKey, haveBytes: number): Promise<Part> {
    const path = contentPath(this.#root, key);
    const known = this.#digests.get(`${path}.part`);
    if (known?.haveBytes === haveBytes) return known;
    const shelf = shelfOf(this.#root, key);
    const part: Part = { path: `${path}.part`, shelf, haveBytes, hash: createHash("sha256") };
    if (haveBytes === 0) await makeLastingFolder(this.#root, dirname(path));
    else for await (const piece of createReadStream(part.path)) part.hash.update(piece);
    return part;
  }

  async #fill(part: Part, source: AsyncIterable<Uint8Array>): Promise<void> {
    const file = await open(part.path, part.haveBytes === 0 ? "w" : "r+", 0o640).catch(rethrow);
    try {
      for await (const piece of source) {
        await writeOrNothing(file, part.haveBytes, piece).catch(rethrow);
        part.hash.update(piece);
        part.haveBytes += piece.length;
        this.#footprint.add(part.shelf, piece.length);
      }
    } finally {
      this.#remember(part);
      await file.close();
    }
  }

  #remember(part: Part): void {
    this.#digests.delete(part.path);
    this.#digests.set(part.path, part);
    const [oldest] = this.#digests.keys();
    if (this.#digests.size > DIGESTS_MAX && oldest !== undefined) this.#digests.delete(oldest);
  }

  sizes(jobId: string, attempt: number): Promise<ReadonlyMap<string, number>> {
    return sizesIn(artifactFolder(this.#root, jobId, attempt), ".part");
  }

  async holding<T>(key: ContentKey, work: () => Promise<T>): Promise<T> {
    const path = contentPath(this.#root, key);
    const before = this.#holds.get(path) ?? Promise.resolve();
    const turn = before.then(work);
    const tail = turn.catch(() => undefined);
    this.#holds.set(path, tail);
    try {
      return await turn;
    } finally {
      if (this.#holds.get(path) === tail) this.#holds.delete(path);
    }
  }

  async remove(key: ContentKey): Promise<number> {
    const path = contentPath(this.#root, key);
    if (this.#uploads.has(path)) return 0;
    const { promise: ended, resolve } = Promise.withResolvers<void>();
    // An upload that begins meanwhile waits, as it does for an older one.
    const upload: Upload = { newer: new AbortController(), ended };
    this.#uploads.set(path, upload);
    try {
      const { haveBytes } = await this.have(key);
      this.#digests.delete(`${path}.part`);
      for (const one of [path, `${path}.part`]) await rm(one, { force: true }).catch(rethrow);
      this.#footprint.add(shelfOf(this.#root, key), -haveBytes);
      return haveBytes;
    } finally {
      if (this.#uploads.get(path) === upload) this.#uploads.delete(path);
      resolve();
    }
  }

  read(key: ContentKey, { first, last }: Span): Readable {
    return createReadStream(contentPath(this.#root, key), { start: first, end: last });
  }
}

/** A source that ends with an error as soon as a newer upload took over, even while it is silent. */
async function* untilNewer(
  source: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const pieces = source[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await untilAborted(signal, pieces.next());
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    // Not awaited: a silent source ends only when its connection does.
    pieces.return?.().catch(() => undefined);
  }
}

function superseded(): FilesError {
  return new FilesError("superseded", "a newer upload of the same content took over");
}

async function complete(part: string, path: string): Promise<void> {
  await sync(part);
  await rename(part, path);
  await sync(dirname(path));
}

function rethrow(error: unknown): never {
  throw filesError(error);
}

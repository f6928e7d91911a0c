import { Steadiness } from "#lib/steadiness.ts";
import type { Contents, Shelf, Shelves } from "#service/file-ports.ts";
import type { Ages, Clock, InputName, Store, UpkeepNumbers } from "#service/ports.ts";
import { agesOf, type Retention } from "./retention.ts";

/** What the caretaker works with. */
export type UpkeepOptions = {
  readonly store: Pick<Store, "retire" | "makeRoom" | "withFiles" | "dropInput" | "inputOf">;
  readonly contents: Contents;
  readonly shelves: Shelves;
  readonly clock: Clock;
  readonly retention: Retention;
  /** What must be held while something is removed; undefined while somebody else holds it, as a backup does. */
  readonly mayRemove: () => Disposable | undefined;
};

/**
 * Nothing is removed so soon after a start, or after the wall clock jumped: a clock that is wrong until it hears of the right
 * time, and a database that is not the right one, should not cost anybody their results.
 */
const HOLD_MS = 15 * 60_000;

/** All files are looked at again so long after the last time. */
const WALK_AGAIN_MS = 3_600_000;

/** Looking at files takes at most so long of a tick, or one shelf. */
const WALK_MS = 50;

/** Jobs whose files leave in one tick to make room. */
const ROOM_JOBS = 10;

/**
 * Keeps the service small: what is too old leaves, what is too much makes room, and what a crash left behind is found by
 * comparing disk and database, shelf by shelf. The database goes first and the files after, so that nothing is ever named that is not
 * there.
 */
export class Upkeep {
  readonly #options: UpkeepOptions;
  readonly #ages: Ages;
  readonly #removed = { jobs: 0, files: 0, inputs: 0, uploads: 0, strays: 0, hosts: 0, tokens: 0 };
  #removedBytes = 0;
  #database: UpkeepNumbers["database"] = { bytes: 0, freeBytes: 0 };
  /** What is left of the walk that goes on. */
  #walk: Shelf[] = [];
  #walkAtMs = Number.NEGATIVE_INFINITY;
  #hasWalked = false;
  readonly #steadiness: Steadiness;

  constructor(options: UpkeepOptions) {
    this.#options = options;
    this.#ages = agesOf(options.retention);
    this.#steadiness = new Steadiness(options.clock, HOLD_MS);
  }

  /** What was removed so far, and how large everything is. */
  numbers(): UpkeepNumbers {
    return {
      removed: this.#removed,
      removedBytes: this.#removedBytes,
      database: this.#database,
      ...(this.#hasWalked ? { filesBytes: this.#options.shelves.bytes } : {}),
      ...(this.#options.retention.filesBytesMax === undefined
        ? {}
        : { filesBytesMax: this.#options.retention.filesBytesMax }),
    };
  }

  /** A little work; to be called about each second, not before the last call is over. */
  async tick(): Promise<void> {
    using pass = this.#options.mayRemove();
    const isSteady = this.#steadiness.isSteady();
    if (pass !== undefined && isSteady) {
      await this.#retire();
      await this.#makeRoom();
    }
    await this.#goOnWalking(pass !== undefined && isSteady);
  }

  async #retire(): Promise<void> {
    const left = await this.#options.store.retire(this.#ages);
    this.#database = left.database;
    this.#removed.jobs += left.jobs;
    this.#removed.hosts += left.hosts.length;
    this.#removed.tokens += left.tokens;
    await this.#removeFilesOf(left.files, "files");
    for (const input of left.inputs) await this.#removeInput(input, "inputs");
  }

  async #makeRoom(): Promise<void> {
    const { store, shelves, retention } = this.#options;
    // Before all shelves were looked at, nobody knows how much there is.
    if (!this.#hasWalked) return;
    for (let jobs = 0; jobs < ROOM_JOBS; jobs += 1) {
      if (shelves.bytes <= (retention.filesBytesMax ?? Infinity)) return;
      const oldest = await store.makeRoom(1);
      if (oldest.length === 0) return;
      await this.#removeFilesOf(oldest, "files");
    }
  }

  async #goOnWalking(mayRemove: boolean): Promise<void> {
    const { shelves, clock } = this.#options;
    const endMs = performance.now() + WALK_MS;
    if (this.#walk.length === 0) {
      if (clock.monotonicMs() - this.#walkAtMs < WALK_AGAIN_MS) return;
      this.#walkAtMs = clock.monotonicMs();
      this.#walk = [...(await shelves.list())];
    }
    while (this.#walk.length > 0 && performance.now() < endMs) {
      const shelf = this.#walk.pop();
      if (shelf !== undefined) await this.#tidy(shelf, mayRemove);
    }
    if (this.#walk.length === 0) this.#hasWalked = true;
  }

  async #tidy(shelf: Shelf, mayRemove: boolean): Promise<void> {
    const { store, shelves, contents } = this.#options;
    const stock = await shelves.look(shelf, this.#ages.partSeconds);
    if (!mayRemove) return;
    for (let at = 0; at < stock.jobs.length; at += COMPARED_AT_ONCE) {
      const some = stock.jobs.slice(at, at + COMPARED_AT_ONCE);
      const known = new Set(await store.withFiles(some));
      await this.#removeFilesOf(
        some.filter((id) => !known.has(id)),
        "strays",
      );
    }
    for (const part of stock.parts) {
      this.#removedBytes += await contents.remove(part);
      this.#removed.uploads += 1;
    }
    if (shelf.kind !== "inputs") return;
    for (const { sha256, isPart } of stock.inputs) {
      const name = { owner: shelf.owner, sha256 };
      const isStray = (await store.inputOf(name.owner, sha256)) === undefined;
      if (isStray) await this.#removeInput(name, isPart ? "uploads" : "strays");
    }
  }

  async #removeFilesOf(ids: readonly string[], as: "files" | "strays"): Promise<void> {
    for (const id of ids) {
      this.#removedBytes += await this.#options.shelves.removeJob(id);
      this.#removed[as] += 1;
    }
  }

  async #removeInput(name: InputName, as: "inputs" | "uploads" | "strays"): Promise<void> {
    const { store, contents } = this.#options;
    const key = { kind: "input", ...name } as const;
    await contents.holding(key, async () => {
      if (!(await store.dropInput(name, this.#ages.inputSeconds))) return;
      this.#removedBytes += await contents.remove(key);
      this.#removed[as] += 1;
    });
  }
}

/** Jobs that one question to the store is about. */
const COMPARED_AT_ONCE = 500;

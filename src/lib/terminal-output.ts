import { constants, fstatSync, openSync, write } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

const AGAIN_MS = 5;

/**
 * Text for standard output and standard error. When both are one terminal, pipe or file, their order holds; when they are
 * not, neither waits for the other. Writes leave the event loop alone: Node's own streams write to terminals
 * synchronously, and a stopped one (Ctrl-S) or a pager that waits would stop the whole process with its deadlines. Nor
 * do they wait in a thread, which the process could not leave behind when it exits.
 */
export class TerminalOutput {
  readonly #lanes = new Map<number, Lane>();
  readonly #targets = new Map<number, Target>();

  /** Bytes that nobody has taken yet. */
  get queuedBytes(): number {
    return this.#unique().reduce((sum, lane) => sum + lane.queuedBytes, 0);
  }

  /** Queues text. A descriptor whose reader is gone swallows what it gets. Never throws. */
  write(fd: number, text: string): void {
    if (text !== "") this.#lane(fd).push(this.#target(fd), Buffer.from(text));
  }

  /** False when everything queued is written, true after `limitMs` when a reader does not take it. */
  async isStuckAfter(limitMs: number): Promise<boolean> {
    const limit = new AbortController();
    const stuck = delay(limitMs, true, { signal: limit.signal }).catch(() => false);
    const done = Promise.all(this.#unique().map((lane) => lane.drained)).then(() => false);
    const isStuck = await Promise.race([done, stuck]);
    limit.abort();
    return isStuck;
  }

  #unique(): readonly Lane[] {
    return [...new Set(this.#lanes.values())];
  }

  /** Descriptors of one file share a lane. */
  #lane(fd: number): Lane {
    const known = this.#lanes.get(fd);
    if (known !== undefined) return known;
    const twin = [...this.#lanes.keys()].find((other) => isSameFile(fd, other));
    const lane = (twin === undefined ? undefined : this.#lanes.get(twin)) ?? new Lane();
    this.#lanes.set(fd, lane);
    return lane;
  }

  #target(fd: number): Target {
    const target = this.#targets.get(fd) ?? withoutWaiting(fd);
    this.#targets.set(fd, target);
    return target;
  }
}

/** Writes pieces one after the other. */
class Lane {
  queuedBytes = 0;
  drained: Promise<void> = Promise.resolve();
  readonly #queue: { readonly target: Target; readonly bytes: Buffer }[] = [];
  readonly #closed = new Set<Target>();
  #isDraining = false;

  push(target: Target, bytes: Buffer): void {
    if (this.#closed.has(target)) return;
    this.#queue.push({ target, bytes });
    this.queuedBytes += bytes.length;
    if (!this.#isDraining) this.drained = this.#drain();
  }

  async #drain(): Promise<void> {
    this.#isDraining = true;
    for (let piece = this.#queue.shift(); piece !== undefined; piece = this.#queue.shift()) {
      await this.#writeAll(piece.target, piece.bytes);
      this.queuedBytes -= piece.bytes.length;
    }
    this.#isDraining = false;
  }

  async #writeAll(target: Target, bytes: Buffer): Promise<void> {
    for (let at = 0; at < bytes.length && !this.#closed.has(target); ) {
      const { written, error } = await writeOnce(target, bytes.subarray(at));
      at += written;
      if (error?.code === "EAGAIN") await delay(AGAIN_MS);
      // The reader is gone (EPIPE), the terminal is (EIO), or its disk is full: nothing more can be said there.
      else if (error !== undefined) this.#closed.add(target);
    }
  }
}

function isSameFile(a: number, b: number): boolean {
  try {
    const [first, second] = [fstatSync(a), fstatSync(b)];
    return first.dev === second.dev && first.ino === second.ino;
  } catch {
    return false;
  }
}

/** Where a descriptor's bytes go without waiting: a descriptor that says EAGAIN instead, or a stream. */
type Target = { readonly fd: number } | { readonly stream: NodeJS.WriteStream };

/**
 * A pipe or a terminal is opened anew, so that the flags of the description that others share stay as they are (open(2),
 * proc(5)). A socket cannot be opened anew; Node's own streams do not wait on sockets. Anything else never waits long.
 */
function withoutWaiting(fd: number): Target {
  try {
    const stat = fstatSync(fd);
    if (stat.isSocket() && (fd === 1 || fd === 2)) {
      const stream = fd === 1 ? process.stdout : process.stderr;
      stream.on("error", () => undefined);
      return { stream };
    }
    if (!stat.isFIFO() && !stat.isCharacterDevice()) return { fd };
    const flags = constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY;
    return { fd: openSync(`/proc/self/fd/${fd}`, flags) };
  } catch {
    return { fd };
  }
}

type Wrote = { readonly written: number; readonly error: NodeJS.ErrnoException | undefined };

function writeOnce(target: Target, bytes: Buffer): Promise<Wrote> {
  return new Promise((resolve) => {
    if ("fd" in target) {
      write(target.fd, bytes, (error, written) =>
        resolve({ written: written ?? 0, error: error ?? undefined }),
      );
    } else {
      target.stream.write(bytes, (error) =>
        resolve({ written: bytes.length, error: error ?? undefined }),
      );
    }
  });
}

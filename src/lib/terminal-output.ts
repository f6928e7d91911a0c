import { constants, fstatSync, openSync, write } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

const AGAIN_MS = 5;

type Piece = { readonly fd: number; readonly bytes: Buffer };

/**
 * Text for standard output and standard error in one queue, so that their order holds when both are one terminal or pipe.
 * Writes leave the event loop alone: Node's own streams write to terminals and pipes synchronously, and a stopped
 * terminal (Ctrl-S) or a pager that waits would stop the whole process with its deadlines. Nor do they wait in a thread,
 * which the process could not leave behind when it exits.
 */
export class TerminalOutput {
  readonly #queue: Piece[] = [];
  readonly #closed = new Set<number>();
  readonly #targets = new Map<number, Target>();
  #queuedBytes = 0;
  #draining: Promise<void> | undefined;

  /** Bytes that nobody has taken yet. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /** Queues text. A descriptor whose reader is gone swallows what it gets. Never throws. */
  write(fd: number, text: string): void {
    if (text === "" || this.#closed.has(fd)) return;
    const bytes = Buffer.from(text);
    this.#queue.push({ fd, bytes });
    this.#queuedBytes += bytes.length;
    this.#draining ??= this.#drain();
  }

  /** Resolves when everything queued is written, or true after `limitMs` when the reader does not take it. */
  async isStuckAfter(limitMs: number): Promise<boolean> {
    const limit = new AbortController();
    const stuck = delay(limitMs, true, { signal: limit.signal }).catch(() => false);
    const done = (this.#draining ?? Promise.resolve()).then(() => false);
    const isStuck = await Promise.race([done, stuck]);
    limit.abort();
    return isStuck;
  }

  #target(fd: number): Target {
    const known = this.#targets.get(fd);
    if (known !== undefined) return known;
    const target = withoutWaiting(fd);
    this.#targets.set(fd, target);
    return target;
  }

  async #drain(): Promise<void> {
    for (let piece = this.#queue.shift(); piece !== undefined; piece = this.#queue.shift()) {
      const { fd, bytes } = piece;
      await this.#writeAll(fd, bytes);
      this.#queuedBytes -= bytes.length;
    }
    this.#draining = undefined;
  }

  async #writeAll(fd: number, bytes: Buffer): Promise<void> {
    for (let at = 0; at < bytes.length && !this.#closed.has(fd); ) {
      const { written, error } = await writeOnce(this.#target(fd), bytes.subarray(at));
      at += written;
      if (error?.code === "EAGAIN") await delay(AGAIN_MS);
      // The reader is gone (EPIPE), the terminal is (EIO), or its disk is full: nothing more can be said there.
      else if (error !== undefined) this.#closed.add(fd);
    }
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

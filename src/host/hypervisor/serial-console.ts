import { createReadStream, createWriteStream } from "node:fs";
import { access, constants, lchown, open, stat } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import type { Console } from "#host/runner/ports.ts";

/** virtlogd keeps at most so many rotated files by default (virtlogd.conf, max_backups); more are not looked for. */
const BACKUPS_MAX = 9;

const PANIC = /Kernel panic - not syncing[^\n]*(?:\n[^\n]*){0,12}/;

/** How much of the end is searched for a panic: the line stands before a stack trace of a few KiB. */
const PANIC_SEARCH_BYTES = 64 * 1024;

/**
 * The console file of a machine with what virtlogd rotated away: `console.log.0` is the newest of the older ones. A
 * file that is not there yet is empty.
 */
export class SerialConsole implements Console {
  readonly #path: string;
  constructor(path: string) {
    this.#path = path;
  }

  async size(): Promise<number> {
    const sizes = await Promise.all((await this.#files()).map(({ bytes }) => bytes));
    return sizes.reduce((sum, bytes) => sum + bytes, 0);
  }

  async tail(bytes: number): Promise<Buffer> {
    const pieces: Buffer[] = [];
    let missing = bytes;
    for (const file of (await this.#files()).reverse()) {
      if (missing <= 0) break;
      const piece = await readEnd(file.path, missing);
      missing -= piece.length;
      pieces.unshift(piece);
    }
    return Buffer.concat(pieces);
  }

  async save(path: string): Promise<number> {
    const target = createWriteStream(path, { mode: 0o644 });
    async function* all(files: readonly { path: string }[]) {
      for (const file of files) yield* createReadStream(file.path);
    }
    await pipeline(all(await this.#files()), target);
    return target.bytesWritten;
  }

  async panic(): Promise<string | undefined> {
    const text = (await this.tail(PANIC_SEARCH_BYTES)).toString("latin1").replaceAll("\r", "");
    return PANIC.exec(text)?.[0];
  }

  /** Existing files, oldest first. */
  async #files(): Promise<{ path: string; bytes: number }[]> {
    const paths = [this.#path];
    for (let number = 0; number < BACKUPS_MAX; number += 1)
      paths.unshift(`${this.#path}.${number}`);
    const found = await Promise.all(
      paths.map(async (path) => {
        const status = await stat(path).catch(() => undefined);
        if (status === undefined) return [];
        await makeReadable(path);
        return [{ path, bytes: status.size }];
      }),
    );
    return found.flat();
  }
}

/**
 * virtlogd's files are root's, mode 0600, each new one after a rotation too; it writes as root whoever they belong to. A daemon
 * that is not root takes them, which needs CAP_CHOWN; who may not do that finds the console empty.
 */
async function makeReadable(path: string): Promise<void> {
  const isReadable = await access(path, constants.R_OK).then(
    () => true,
    () => false,
  );
  const [uid, gid] = [process.geteuid?.(), process.getegid?.()];
  if (isReadable || uid === undefined || gid === undefined) return;
  await lchown(path, uid, gid).catch(() => undefined);
}

async function readEnd(path: string, bytes: number): Promise<Buffer> {
  const file = await open(path, "r").catch(() => undefined);
  if (file === undefined) return Buffer.alloc(0);
  try {
    const { size } = await file.stat();
    const length = Math.min(size, bytes);
    const { bytesRead, buffer } = await file.read({
      buffer: Buffer.alloc(length),
      position: size - length,
    });
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

import { constants, type Stats } from "node:fs";
import { lstat, open, readdir, readlink } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "#job/fault.ts";
import { printable } from "#lib/printable.ts";
import { TAR_END, tarHeader, tarPadding } from "./tar-writer.ts";

const READ_BYTES = 256 * 1024;
/** One piece goes to the guest when it has grown to this, so that small files share packets. */
const PIECE_BYTES = 128 * 1024;

/** An input that cannot be read, with the file's path. */
export function unreadable(path: string, why: string, cause?: unknown): Fault {
  return new Fault("input-unreadable", `${printable(path)}: ${why}`, { cause });
}

/**
 * A folder as a tar archive, in pieces of about 128 KiB. Names are relative to the folder; symbolic links inside are sent as
 * links, wherever they point; permission bits are kept, owners are not. Throws input-unreadable.
 */
export async function* readFolder(folder: string): AsyncGenerator<Buffer> {
  let pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of archive(folder, "")) {
    pieces.push(piece);
    bytes += piece.length;
    if (bytes < PIECE_BYTES) continue;
    yield Buffer.concat(pieces);
    pieces = [];
    bytes = 0;
  }
  yield Buffer.concat([...pieces, TAR_END]);
}

async function* archive(root: string, below: string): AsyncGenerator<Buffer> {
  const entries = await refusing(join(root, below), (path) => readdir(path));
  for (const entry of entries.sort()) {
    const name = below === "" ? entry : `${below}/${entry}`;
    const path = join(root, name);
    const stats = await refusing(path, (at) => lstat(at));
    if (stats.isDirectory()) {
      yield tarHeader({ ...common(name, stats), kind: "folder", bytes: 0 });
      yield* archive(root, name);
    } else if (stats.isSymbolicLink()) {
      const target = await refusing(path, (at) => readlink(at));
      yield tarHeader({ ...common(name, stats), kind: "link", bytes: 0, target });
    } else if (stats.isFile()) {
      yield tarHeader({ ...common(name, stats), kind: "file", bytes: stats.size });
      yield* readExactly(path, stats.size);
      yield tarPadding(stats.size);
    } else {
      throw unreadable(path, "only files, folders and symbolic links can be sent");
    }
  }
}

/** A file's content, which must be as long as it was when somebody last looked. Throws input-unreadable. */
export async function* readExactly(path: string, bytes: number): AsyncGenerator<Buffer> {
  // The last part must still be a file: not a link that came since, nor a FIFO that would be waited for.
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const file = await refusing(path, (at) => open(at, flags));
  try {
    let left = bytes;
    while (left > 0) {
      const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, left));
      const { bytesRead } = await refusing(path, () => file.read(buffer));
      if (bytesRead === 0) throw unreadable(path, "became shorter while it was sent");
      left -= bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}

function common(name: string, stats: Stats) {
  return { name, mode: stats.mode & 0o777, mtimeSeconds: stats.mtimeMs / 1000 };
}

async function refusing<T>(path: string, work: (path: string) => Promise<T>): Promise<T> {
  try {
    return await work(path);
  } catch (error) {
    if (error instanceof Fault) throw error;
    throw unreadable(path, (error as Error).message, error);
  }
}

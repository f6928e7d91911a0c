import {
  closeSync,
  constants,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  type Stats,
} from "node:fs";
import { join } from "node:path";
import { TAR_END, tarHeader, tarPadding } from "./tar-writer.ts";

/** One piece goes to the guest when it has grown to this, so that small files share packets. */
const PIECE_BYTES = 256 * 1024;

/** A file that cannot be read, or not as it was when it was looked at. */
export class UnreadableFile extends Error {
  override readonly name = "UnreadableFile";
  readonly path: string;

  constructor(path: string, why: string) {
    super(why);
    this.path = path;
  }
}

/**
 * A folder as a tar archive, in pieces of about 256 KiB. Names are relative to the folder; symbolic links inside are sent as
 * links, wherever they point; permission bits are kept, owners are not. For a thread that may wait. Throws `UnreadableFile`.
 */
export function* readFolder(folder: string): Generator<Uint8Array<ArrayBuffer>> {
  let pieces: Uint8Array[] = [];
  let bytes = 0;
  for (const piece of archive(folder, "")) {
    pieces.push(piece);
    bytes += piece.length;
    if (bytes < PIECE_BYTES) continue;
    yield joined(pieces, bytes);
    pieces = [];
    bytes = 0;
  }
  pieces.push(TAR_END);
  yield joined(pieces, bytes + TAR_END.length);
}

function joined(pieces: readonly Uint8Array[], bytes: number): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(bytes);
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}

function* archive(root: string, below: string): Generator<Uint8Array> {
  const names = refusing(join(root, below), (path) => readdirSync(path));
  for (const own of names.sort()) {
    const name = below === "" ? own : `${below}/${own}`;
    const path = join(root, name);
    const stats = refusing(path, (at) => lstatSync(at));
    if (stats.isDirectory()) {
      yield tarHeader({ ...common(name, stats), kind: "folder", bytes: 0 });
      yield* archive(root, name);
    } else if (stats.isSymbolicLink()) {
      const target = refusing(path, (at) => readlinkSync(at));
      yield tarHeader({ ...common(name, stats), kind: "link", bytes: 0, target });
    } else if (stats.isFile()) {
      yield tarHeader({ ...common(name, stats), kind: "file", bytes: stats.size });
      yield* content(path, stats.size);
      yield tarPadding(stats.size);
    } else {
      throw new UnreadableFile(path, "only files, folders and symbolic links can be sent");
    }
  }
}

/** The content of a file, exactly as long as its header says. */
function* content(path: string, bytes: number): Generator<Uint8Array> {
  // It must still be a file: not a link that came since, nor a FIFO that would be waited for.
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const file = refusing(path, (at) => openSync(at, flags));
  try {
    for (let left = bytes; left > 0; ) {
      const buffer = Buffer.allocUnsafe(Math.min(PIECE_BYTES, left));
      const read = refusing(path, () => readSync(file, buffer));
      if (read === 0) throw new UnreadableFile(path, "became shorter while it was sent");
      left -= read;
      yield buffer.subarray(0, read);
    }
  } finally {
    closeSync(file);
  }
}

function common(name: string, stats: Stats) {
  return { name, mode: stats.mode & 0o777, mtimeSeconds: stats.mtimeMs / 1000 };
}

function refusing<T>(path: string, work: (path: string) => T): T {
  try {
    return work(path);
  } catch (error) {
    throw new UnreadableFile(path, (error as Error).message);
  }
}

import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { fetchFailed, refused } from "./fetch-faults.ts";
import type { PartFile } from "./part-file.ts";

const SLICE_BYTES = 2 ** 20;
const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants;

/**
 * Copies a plain file of so many bytes into a part, from its beginning. A symlink, a device, a FIFO or a folder is refused without reading
 * it, and so is a file of another length. Throws image-refused, image-fetch-failed when it cannot be read, or the signal's reason.
 */
export async function copyIn(
  part: PartFile,
  { path, bytes, onPiece }: { readonly path: string; bytes: number; onPiece: () => void },
  signal: AbortSignal,
): Promise<void> {
  await using file = await openPlain(path);
  const stat = await file.stat();
  if (!stat.isFile()) throw refused(`${path} is not a regular file`);
  const wrongLength = (found: string) =>
    refused(`${path} has ${found} bytes, not the ${bytes} that were said`);
  if (stat.size !== bytes) throw wrongLength(String(stat.size));
  await part.empty();
  const slice = Buffer.alloc(SLICE_BYTES);
  for (;;) {
    signal.throwIfAborted();
    const { bytesRead } = await file.read(slice, 0, slice.length, part.bytes);
    if (bytesRead === 0) break;
    if (part.bytes + bytesRead > bytes) {
      await part.empty();
      throw wrongLength("more");
    }
    await part.append(slice.subarray(0, bytesRead));
    onPiece();
  }
  if (part.bytes === bytes) return;
  const { bytes: found } = part;
  await part.empty();
  throw wrongLength(String(found));
}

async function openPlain(path: string): Promise<FileHandle> {
  try {
    // Without O_NONBLOCK opening a FIFO waits for its writer (open(2)).
    return await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ELOOP") throw refused(`${path} is a symbolic link, not a regular file`, error);
    if (code === "ENXIO") throw refused(`${path} is not a regular file`, error);
    if (code === "ENOENT") throw fetchFailed(`${path}: there is no such file`, { cause: error });
    throw fetchFailed(`${path} cannot be read: ${message}`, { cause: error });
  }
}

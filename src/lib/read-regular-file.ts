import { constants, type Stats } from "node:fs";
import { open } from "node:fs/promises";

/** A file cannot be read. The message is a predicate: `is a folder, not a file`. */
export class UnreadableError extends Error {
  override readonly name = "UnreadableError";
}

/**
 * The bytes of a regular file, and what fstat(2) says of it. Where it is longer than `bytesMax` it is not read:
 * `isTooLong`. Never waits for a FIFO's writer. Throws `UnreadableError`, with the cause.
 */
export async function readRegularFile(
  path: string,
  bytesMax: number,
): Promise<{ readonly bytes: Buffer; readonly stat: Stats; readonly isTooLong: boolean }> {
  try {
    // Without O_NONBLOCK opening a FIFO waits for its writer (open(2)).
    await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stat = await file.stat();
    if (!stat.isFile()) {
      const isFolder = stat.isDirectory();
      throw new UnreadableError(isFolder ? "is a folder, not a file" : "is not a regular file");
    }
    if (stat.size > bytesMax) return { bytes: Buffer.alloc(0), stat, isTooLong: true };
    const buffer = Buffer.alloc(bytesMax + 1);
    let length = 0;
    for (;;) {
      const { bytesRead } = await file.read(buffer, length, buffer.length - length, length);
      length += bytesRead;
      if (bytesRead === 0 || length === buffer.length) break;
    }
    return { bytes: buffer.subarray(0, length), stat, isTooLong: length > bytesMax };
  } catch (error) {
    if (error instanceof UnreadableError) throw error;
    throw new UnreadableError(reasonOf(error as NodeJS.ErrnoException), { cause: error });
  }
}

function reasonOf({ code, message }: NodeJS.ErrnoException): string {
  if (code === "ENOENT" || code === "ENOTDIR") return "there is no such file";
  if (code === "EACCES" || code === "EPERM") return "you may not read it";
  return `cannot be read: ${message}`;
}

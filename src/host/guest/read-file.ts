import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { Fault } from "#job/fault.ts";
import { printable } from "#lib/printable.ts";

const READ_BYTES = 256 * 1024;

/** An input that cannot be read, with the file's path. */
export function unreadable(path: string, why: string, cause?: unknown): Fault {
  return new Fault("input-unreadable", `${printable(path)}: ${printable(why, 1000)}`, { cause });
}

/** A file's content, which must be as long as it was when somebody last looked. Throws input-unreadable. */
export async function* readFile(path: string, bytes: number): AsyncGenerator<Buffer> {
  // It must still be a file: not a link that came since, nor a FIFO that would be waited for.
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  try {
    await using file = await open(path, flags);
    for (let left = bytes; left > 0; ) {
      const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, left));
      const { bytesRead } = await file.read(buffer);
      if (bytesRead === 0) throw unreadable(path, "became shorter while it was sent");
      left -= bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  } catch (error) {
    if (error instanceof Fault) throw error;
    throw unreadable(path, (error as Error).message, error);
  }
}

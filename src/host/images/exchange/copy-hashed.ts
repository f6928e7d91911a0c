import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { ExchangeRefused } from "./refused.ts";

const PIECE_BYTES = 1024 * 1024;

/**
 * Copies a regular file and hashes what it copies: never a link, so that whoever changes the one does not change the
 * other. Pieces of zeros become holes. `target` must not exist. Throws `ExchangeRefused` when `source` is no file that can be
 * copied; what is half written is the caller's to remove.
 */
export async function copyHashed(
  source: string,
  target: string,
  { onBytes, signal }: { onBytes: (bytes: number) => void; signal: AbortSignal },
): Promise<{ readonly bytes: number; readonly sha256: string }> {
  // Without O_NONBLOCK opening a FIFO waits for its writer (open(2)).
  await using from = await open(source, constants.O_RDONLY | constants.O_NONBLOCK).catch(
    (error: NodeJS.ErrnoException) => {
      throw new ExchangeRefused(`${source} cannot be read: ${error.message}`, { cause: error });
    },
  );
  const found = await from.stat();
  if (!found.isFile()) throw new ExchangeRefused(`${source} is not a regular file`);
  if (found.size === 0) throw new ExchangeRefused(`${source} is empty`);
  await using to = await open(target, "wx", 0o644);
  const hash = createHash("sha256");
  const piece = Buffer.alloc(PIECE_BYTES);
  const zeros = Buffer.alloc(PIECE_BYTES);
  let bytes = 0;
  for (;;) {
    signal.throwIfAborted();
    const { bytesRead } = await from.read(piece, 0, PIECE_BYTES, bytes);
    if (bytesRead === 0) break;
    const part = piece.subarray(0, bytesRead);
    hash.update(part);
    if (!part.equals(zeros.subarray(0, bytesRead))) await writeAll(to, part, bytes);
    bytes += bytesRead;
    onBytes(bytesRead);
  }
  await to.truncate(bytes);
  return { bytes, sha256: hash.digest("hex") };
}

/** write(2) may take less than it was given, as on a disk that is nearly full; the next call says why. */
async function writeAll(
  to: Awaited<ReturnType<typeof open>>,
  part: Buffer,
  position: number,
): Promise<void> {
  for (let done = 0; done < part.length; ) {
    const { bytesWritten } = await to.write(part, done, part.length - done, position + done);
    done += bytesWritten;
  }
}

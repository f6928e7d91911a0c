import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";

/** Adds a file's content to a hash. */
export async function hashFile(hash: Hash, path: string): Promise<void> {
  for await (const piece of createReadStream(path, { highWaterMark: 256 * 1024 }))
    hash.update(piece as Buffer);
}

/** The SHA-256 of a file's content, hexadecimal. */
export async function digestOfFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  await hashFile(hash, path);
  return hash.digest("hex");
}

import { open } from "node:fs/promises";
import type { Image } from "#host/runner/ports.ts";
import { EXTENSION, HEADER_BYTES, INCOMPATIBLE, MAGIC } from "./qcow2-header.ts";

const HEADER_READ_BYTES = 64 * 1024;
const BACKING_NAME_BYTES_MAX = 1023;

/** What keeps a file from being an overlay over exactly this disk and nothing else; undefined when it is one. */
export async function checkOverlay(
  path: string,
  backing: Image["disk"],
): Promise<string | undefined> {
  const handle = await open(path, "r");
  try {
    const { buffer, bytesRead } = await handle.read({ buffer: Buffer.alloc(HEADER_READ_BYTES) });
    return checkOverlayHeader(buffer.subarray(0, bytesRead), backing);
  } finally {
    await handle.close();
  }
}

/** The same over the first bytes of a file. */
export function checkOverlayHeader(
  header: Buffer,
  backing: Pick<Image["disk"], "path" | "format">,
): string | undefined {
  if (header.length < HEADER_BYTES || header.readUInt32BE(0) !== MAGIC) return "is no qcow2 file";
  if (header.readUInt32BE(4) !== 3) return "is not of qcow2 version 3";
  if (header.readUInt32BE(32) !== 0) return "is encrypted";
  if (header.readUInt32BE(60) !== 0) return "has internal snapshots";
  const features = header.readBigUInt64BE(72);
  if ((features & INCOMPATIBLE.externalData) !== 0n) return "has an external data file";
  if ((features & (INCOMPATIBLE.dirty | INCOMPATIBLE.corrupt)) !== 0n)
    return "was not closed cleanly";
  if ((features & ~INCOMPATIBLE.extendedL2) !== 0n) return "uses features that are not known here";
  const [at, length] = [header.readBigUInt64BE(8), header.readUInt32BE(16)];
  if (at === 0n) return "has no backing file";
  if (length > BACKING_NAME_BYTES_MAX || at + BigInt(length) > BigInt(header.length))
    return "has a backing file whose name is not in its header";
  const name = header.toString("utf8", Number(at), Number(at) + length);
  if (name !== backing.path) return "is over another file than its image's disk";
  return wrongExtension(header, backing.format);
}

/** Header extensions follow the header: type, length, content padded to 8 bytes, until type 0. */
function wrongExtension(header: Buffer, format: string): string | undefined {
  let isDeclared = false;
  for (let at = header.readUInt32BE(100); at + 8 <= header.length; ) {
    const [type, length] = [header.readUInt32BE(at), header.readUInt32BE(at + 4)];
    if (type === EXTENSION.end)
      return isDeclared ? undefined : "does not say its backing file's format";
    if (type === EXTENSION.dataFile) return "names an external data file";
    if (type === EXTENSION.backingFormat) {
      if (header.toString("utf8", at + 8, at + 8 + length) !== format)
        return "says another format of its backing file than that has";
      isDeclared = true;
    }
    at += 8 + Math.ceil(length / 8) * 8;
  }
  return "has header extensions without an end";
}

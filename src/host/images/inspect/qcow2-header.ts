import { open } from "node:fs/promises";

/**
 * The header of a qcow2 file (https://www.qemu.org/docs/master/interop/qcow2.html): what it points to, without giving the file to a
 * program that would follow it.
 */
export const MAGIC = 0x514649fb;
/** Of version 3, without header extensions. */
export const HEADER_BYTES = 112;
/** Bits of the field of features that a reader must know. */
export const INCOMPATIBLE = { dirty: 1n, corrupt: 2n, externalData: 4n, extendedL2: 16n };
/** Compression type (bit 3) and extended L2 entries (bit 4) change nothing that reaches outside the file. */
const HARMLESS = 8n | INCOMPATIBLE.extendedL2;
/** Types of header extensions. */
export const EXTENSION = { end: 0, backingFormat: 0xe2792aca, dataFile: 0x44415441 };
const HEADER_READ_BYTES = 64 * 1024;
const VIRTUAL_BYTES_MAX = 2n ** 40n;

/** What keeps a file from being a self-contained qcow2 image, or its virtual size in bytes. */
export type Inspection = { readonly refused: string } | { readonly virtualBytes: number };

/** Reads the header of a qcow2 file and refuses everything that would make a program open another file for it. */
export async function inspectQcow2(path: string): Promise<Inspection> {
  const handle = await open(path, "r");
  try {
    const { buffer, bytesRead } = await handle.read({ buffer: Buffer.alloc(HEADER_READ_BYTES) });
    return inspectHeader(buffer.subarray(0, bytesRead));
  } finally {
    await handle.close();
  }
}

/** The same over the first bytes of a file. */
export function inspectHeader(header: Buffer): Inspection {
  if (header.length < HEADER_BYTES || header.readUInt32BE(0) !== MAGIC)
    return { refused: "is no qcow2 file" };
  const version = header.readUInt32BE(4);
  if (version !== 3) return { refused: `is qcow2 version ${version}; only 3 is taken` };
  if (header.readBigUInt64BE(8) !== 0n) return { refused: "has a backing file" };
  if (header.readUInt32BE(32) !== 0) return { refused: "is encrypted" };
  if (header.readUInt32BE(60) !== 0) return { refused: "has internal snapshots" };
  const features = header.readBigUInt64BE(72);
  if ((features & INCOMPATIBLE.externalData) !== 0n)
    return { refused: "has an external data file" };
  if ((features & (INCOMPATIBLE.dirty | INCOMPATIBLE.corrupt)) !== 0n)
    return { refused: "was not closed cleanly" };
  if ((features & ~HARMLESS) !== 0n) return { refused: "uses features that are not known here" };
  const extension = forbiddenExtension(header);
  if (extension !== undefined) return { refused: extension };
  const size = header.readBigUInt64BE(24);
  if (size === 0n || size > VIRTUAL_BYTES_MAX || size % 512n !== 0n)
    return { refused: `has a virtual size of ${size} bytes` };
  return { virtualBytes: Number(size) };
}

/** Header extensions follow the header: type, length, content padded to 8 bytes, until type 0. */
function forbiddenExtension(header: Buffer): string | undefined {
  let at = header.readUInt32BE(100);
  while (at >= 0 && at + 8 <= header.length) {
    const type = header.readUInt32BE(at);
    if (type === EXTENSION.end) return undefined;
    if (type === EXTENSION.dataFile) return "names an external data file";
    if (type === EXTENSION.backingFormat) return "names a backing format";
    at += 8 + Math.ceil(header.readUInt32BE(at + 4) / 8) * 8;
  }
  return "has header extensions without an end";
}

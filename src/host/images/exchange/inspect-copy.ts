import { open, stat } from "node:fs/promises";
import { type Inspection, inspectQcow2, MAGIC } from "#host/images/inspect/qcow2-header.ts";

/** First bytes of files that are compressed, and what they are then. */
const COMPRESSED: readonly (readonly [string, string])[] = [
  ["1f8b", "gzip"],
  ["fd377a585a00", "xz"],
  ["28b52ffd", "zstd"],
];

/** What keeps a copied disk from being taken, or its virtual size in bytes. The one place where an import has it looked at. */
export async function inspectCopy(
  {
    path,
    format,
    virtualBytesMax,
  }: { path: string; format: "qcow2" | "raw"; virtualBytesMax: number },
  signal: AbortSignal,
): Promise<Inspection> {
  signal.throwIfAborted();
  const first = await firstBytes(path);
  const packed = COMPRESSED.find(([magic]) => first.toString("hex").startsWith(magic))?.[1];
  if (packed !== undefined) return { refused: `is compressed with ${packed}; unpack it first` };
  const inspected = format === "qcow2" ? await inspectQcow2(path) : await inspectRaw(path, first);
  if ("refused" in inspected || inspected.virtualBytes <= virtualBytesMax) return inspected;
  return {
    refused: `has a virtual size of ${inspected.virtualBytes} bytes, more than ${virtualBytesMax}`,
  };
}

async function inspectRaw(path: string, first: Buffer): Promise<Inspection> {
  if (first.length >= 4 && first.readUInt32BE(0) === MAGIC)
    return { refused: "is a qcow2 file, not a raw one: import it with --format qcow2" };
  const { size } = await stat(path);
  if (size % 512 !== 0)
    return { refused: `has ${size} bytes, which is no whole number of sectors` };
  return { virtualBytes: size };
}

async function firstBytes(path: string): Promise<Buffer> {
  await using handle = await open(path, "r");
  const { buffer, bytesRead } = await handle.read({ buffer: Buffer.alloc(8) });
  return buffer.subarray(0, bytesRead);
}

import { open } from "node:fs/promises";

/** Writes a raw disk: a partition table of MBR with one partition, and content after that, or else as it comes. */
export async function rawDisk(path: string, content: Buffer | string): Promise<void> {
  const table = Buffer.alloc(512);
  // A partition of Linux, from sector 1 on, of 2048 sectors.
  table.writeUInt8(0x83, 450);
  table.writeUInt32LE(1, 454);
  table.writeUInt32LE(2048, 458);
  table.writeUInt16LE(0xaa55, 510);
  await using file = await open(path, "w");
  await file.write(Buffer.from(content));
  await file.write(table, 0, table.length, 0);
}

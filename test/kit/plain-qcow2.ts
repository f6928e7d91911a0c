const MIB = 2 ** 20;

/** The parts of a header that tests change. Offsets and lengths are in bytes; what is not given is as QEMU writes it. */
export type HeaderParts = {
  readonly version?: number;
  readonly clusterBits?: number;
  readonly virtualBytes?: bigint;
  readonly l1Entries?: number;
  readonly l1At?: bigint;
  readonly refcountTableAt?: bigint;
  readonly refcountTableClusters?: number;
  readonly incompatible?: bigint;
  readonly headerBytes?: number;
  /** Header extensions: type and content, the end among them. */
  readonly extensions?: readonly (readonly [type: number, content: string])[];
};

/** How long `plainHeader`'s file is: header, reference counts in two clusters, and an L1 table of one entry. */
export const PLAIN_FILE_BYTES = 3 * 65536 + 8;
export const PLAIN_VIRTUAL_BYTES = 64 * MIB;
const END: readonly [number, string] = [0, ""];

/** The first 4096 bytes of an empty, self-contained qcow2 file of 64 MiB, as `qemu-img create` writes it, but for some parts. */
export function plainHeader(parts: HeaderParts = {}): Buffer {
  const version = parts.version ?? 3;
  const headerBytes = parts.headerBytes ?? (version === 2 ? 72 : 112);
  const header = Buffer.alloc(4096);
  header.write("QFI\xfb", "latin1");
  header.writeUInt32BE(version, 4);
  header.writeUInt32BE(parts.clusterBits ?? 16, 20);
  header.writeBigUInt64BE(parts.virtualBytes ?? BigInt(PLAIN_VIRTUAL_BYTES), 24);
  header.writeUInt32BE(parts.l1Entries ?? 1, 36);
  header.writeBigUInt64BE(parts.l1At ?? 0x30000n, 40);
  header.writeBigUInt64BE(parts.refcountTableAt ?? 0x10000n, 48);
  header.writeUInt32BE(parts.refcountTableClusters ?? 1, 56);
  if (version !== 2) {
    header.writeBigUInt64BE(parts.incompatible ?? 0n, 72);
    header.writeUInt32BE(4, 96);
    header.writeUInt32BE(headerBytes, 100);
  }
  let at = headerBytes;
  for (const [type, content] of parts.extensions ?? [END]) {
    if (at + 8 + content.length > header.length) break;
    header.writeUInt32BE(type, at);
    header.writeUInt32BE(content.length, at + 4);
    header.write(content, at + 8, "latin1");
    at += 8 + Math.ceil(content.length / 8) * 8;
  }
  return header;
}

/** The same header with a number put at a place, in 4 bytes, or in 8 when it is a bigint. */
export function headerWith(at: number, value: number | bigint, header = plainHeader()): Buffer {
  if (typeof value === "bigint") header.writeBigUInt64BE(value, at);
  else header.writeUInt32BE(value, at);
  return header;
}

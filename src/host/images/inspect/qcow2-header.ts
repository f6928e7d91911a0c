/**
 * The header of a qcow2 file (https://www.qemu.org/docs/master/interop/qcow2.html): what it points to, without giving the file to a
 * program that would follow it.
 */
export const MAGIC = 0x514649fb;
/** Of version 3, without header extensions. */
export const HEADER_BYTES = 112;
/** Of version 2, which ends where the features would begin. */
const HEADER_BYTES_V2 = 72;
/** Of version 3 as it was first, without a field for the compression type. */
const HEADER_BYTES_MIN = 104;
/** Bits of the field of features that a reader must know. */
export const INCOMPATIBLE = { dirty: 1n, corrupt: 2n, externalData: 4n, extendedL2: 16n };
const COMPRESSION_TYPE = 8n;
/** They change nothing that reaches outside the file. */
const HARMLESS = COMPRESSION_TYPE | INCOMPATIBLE.extendedL2;
/** Types of header extensions. */
export const EXTENSION = { end: 0, backingFormat: 0xe2792aca, dataFile: 0x44415441 };
/** Why extensions are refused; `undefined`: names of features, for people. Any that is not here is refused too. */
const EXTENSIONS = new Map<number, string | undefined>([
  [EXTENSION.dataFile, "names an external data file"],
  [EXTENSION.backingFormat, "names a backing format"],
  [0x0537be77, "has a header of encryption"],
  [0x23852875, "has bitmaps"],
  [0x6803f857, undefined],
]);

/** QEMU takes no larger tables (block/qcow2.h). */
const L1_BYTES_MAX = 32 * 2 ** 20;
const REFCOUNT_TABLE_BYTES_MAX = 8 * 2 ** 20;

/** Whatever an image is, or why it is none: a predicate, as in `has a backing file`. */
export type Inspection = { readonly refused: string } | { readonly virtualBytes: number };

/** How far the fields of a header may reach. */
export type Bounds = {
  /** The length of the file whose header it is. */
  readonly fileBytes: number;
  /** The largest disk that is taken. */
  readonly virtualBytesMax: number;
};

/** The fields of a header, as they stand there. */
type Header = {
  readonly version: number;
  readonly headerBytes: number;
  readonly backingAt: bigint;
  readonly backingNameBytes: number;
  readonly clusterBits: number;
  readonly virtualBytes: bigint;
  readonly encryption: number;
  readonly l1Entries: number;
  readonly l1At: bigint;
  readonly refcountTableAt: bigint;
  readonly refcountTableClusters: number;
  readonly snapshots: number;
  readonly snapshotsAt: bigint;
  readonly incompatible: bigint;
  readonly autoclear: bigint;
  readonly refcountOrder: number;
  readonly compressionType: number;
};

/**
 * What is wrong with a header, in this order: a rule may rely on those before it. A cluster is 512 bytes to 2 MiB long.
 * Version 2 (`compat=0.10`) is taken, since distributions still publish it; all that it lacks is features.
 */
const RULES: readonly (readonly [
  refused: string | ((header: Header) => string),
  isBroken: (header: Header, bounds: Bounds) => boolean,
])[] = [
  [
    (h) => `is qcow2 version ${h.version}; only 2 and 3 are taken`,
    (h) => h.version < 2 || h.version > 3,
  ],
  ["has a backing file", (h) => h.backingAt !== 0n || h.backingNameBytes !== 0],
  ["is encrypted", (h) => h.encryption !== 0],
  ["has internal snapshots", (h) => h.snapshots !== 0 || h.snapshotsAt !== 0n],
  ["has an external data file", (h) => has(h, INCOMPATIBLE.externalData)],
  ["was not closed cleanly", (h) => has(h, INCOMPATIBLE.dirty | INCOMPATIBLE.corrupt)],
  ["uses features that are not known here", (h) => has(h, ~HARMLESS)],
  ["has bitmaps or an external data file", (h) => h.autoclear !== 0n],
  ["has clusters of a size that there is not", (h) => h.clusterBits < 9 || h.clusterBits > 21],
  [
    "has a header of a length that there is not",
    (h) =>
      h.headerBytes < (h.version === 2 ? HEADER_BYTES_V2 : HEADER_BYTES_MIN) ||
      h.headerBytes > clusterBytes(h) ||
      h.headerBytes % 8 !== 0,
  ],
  ["has clusters too small for extended L2 entries", (h) => isExtended(h) && h.clusterBits < 14],
  ["counts references in numbers of a size that there is not", (h) => h.refcountOrder > 6],
  [
    "is compressed in a way that is not known here",
    (h) => h.compressionType > 1 || (h.compressionType === 1) !== has(h, COMPRESSION_TYPE),
  ],
  [
    (h) => `has a virtual size of ${h.virtualBytes} bytes`,
    (h, { virtualBytesMax }) =>
      h.virtualBytes === 0n ||
      h.virtualBytes % 512n !== 0n ||
      h.virtualBytes > BigInt(virtualBytesMax),
  ],
  [
    "has an L1 table that does not lie in it",
    (h, { fileBytes }) => !liesIn(h, h.l1At, 8 * h.l1Entries, fileBytes),
  ],
  [
    "has an L1 table that does not fit its virtual size",
    (h) => h.l1Entries < l1EntriesOf(h) || 8 * h.l1Entries > L1_BYTES_MAX,
  ],
  [
    "has a table of reference counts that does not lie in it",
    (h, { fileBytes }) =>
      h.refcountTableClusters === 0 ||
      h.refcountTableClusters * clusterBytes(h) > REFCOUNT_TABLE_BYTES_MAX ||
      !liesIn(h, h.refcountTableAt, h.refcountTableClusters * clusterBytes(h), fileBytes),
  ],
];

/**
 * Judges a qcow2 file by its first bytes, of which 64 KiB are enough. Refuses all that would make a program open another
 * file for it, and tables that do not lie in the file. Never throws, whatever the bytes are.
 */
export function inspectHeader(head: Buffer, bounds: Bounds): Inspection {
  if (head.length < HEADER_BYTES || head.readUInt32BE(0) !== MAGIC)
    return { refused: "is no qcow2 file" };
  const header = readHeader(head);
  for (const [refused, isBroken] of RULES)
    if (isBroken(header, bounds))
      return { refused: typeof refused === "string" ? refused : refused(header) };
  const extension = forbiddenExtension(head.subarray(0, clusterBytes(header)), header.headerBytes);
  if (extension !== undefined) return { refused: extension };
  return { virtualBytes: Number(header.virtualBytes) };
}

function readHeader(head: Buffer): Header {
  const version = head.readUInt32BE(4);
  const isOld = version === 2;
  const headerBytes = isOld ? HEADER_BYTES_V2 : head.readUInt32BE(100);
  return {
    version,
    headerBytes,
    backingAt: head.readBigUInt64BE(8),
    backingNameBytes: head.readUInt32BE(16),
    clusterBits: head.readUInt32BE(20),
    virtualBytes: head.readBigUInt64BE(24),
    encryption: head.readUInt32BE(32),
    l1Entries: head.readUInt32BE(36),
    l1At: head.readBigUInt64BE(40),
    refcountTableAt: head.readBigUInt64BE(48),
    refcountTableClusters: head.readUInt32BE(56),
    snapshots: head.readUInt32BE(60),
    snapshotsAt: head.readBigUInt64BE(64),
    incompatible: isOld ? 0n : head.readBigUInt64BE(72),
    autoclear: isOld ? 0n : head.readBigUInt64BE(88),
    refcountOrder: isOld ? 4 : head.readUInt32BE(96),
    compressionType: headerBytes > HEADER_BYTES_MIN ? head.readUInt8(104) : 0,
  };
}

function has({ incompatible }: Header, bits: bigint): boolean {
  return (incompatible & bits) !== 0n;
}

function isExtended(header: Header): boolean {
  return has(header, INCOMPATIBLE.extendedL2);
}

function clusterBytes({ clusterBits }: Header): number {
  return 2 ** clusterBits;
}

/** How many L1 entries a disk of this size needs: each names an L2 table of one cluster. */
function l1EntriesOf(header: Header): number {
  const entries = clusterBytes(header) / (isExtended(header) ? 16 : 8);
  return Math.ceil(Number(header.virtualBytes) / (entries * clusterBytes(header)));
}

/** A table begins at a cluster that is not the header's. */
function liesIn(header: Header, at: bigint, bytes: number, fileBytes: number): boolean {
  const cluster = BigInt(clusterBytes(header));
  return at >= cluster && at % cluster === 0n && at + BigInt(bytes) <= BigInt(fileBytes);
}

/** Header extensions follow the header: type, length, content padded to 8 bytes, until type 0, within a cluster. */
function forbiddenExtension(cluster: Buffer, start: number): string | undefined {
  for (let at = start; at + 8 <= cluster.length; ) {
    const type = cluster.readUInt32BE(at);
    const bytes = cluster.readUInt32BE(at + 4);
    // QEMU looks at the length first, even of the end.
    if (at + 8 + bytes > cluster.length) break;
    if (type === EXTENSION.end) return undefined;
    const refused = EXTENSIONS.get(type);
    if (refused !== undefined) return refused;
    if (!EXTENSIONS.has(type)) return "has a header extension that is not known here";
    at += 8 + Math.ceil(bytes / 8) * 8;
  }
  return "has header extensions without an end";
}

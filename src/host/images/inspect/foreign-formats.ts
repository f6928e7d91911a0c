/** The parts of a file that magic numbers stand in. */
export type FileEnds = {
  /** Its first bytes, all of them or `HEAD_BYTES`. */
  readonly head: Buffer;
  /** Its last bytes, all of them or `TAIL_BYTES`. */
  readonly tail: Buffer;
};

/** So much that the magic numbers of btrfs and of all three ISO 9660 descriptors lie in it. */
export const HEAD_BYTES = 68 * 1024;
export const TAIL_BYTES = 1024;

/** A magic number: bytes, as text of ISO 8859-1, at a place of the head, or of the tail where it is below zero. */
type Magic = readonly [format: string, at: number, bytes: string];

/**
 * What a disk image is not, or not at the same time. The places are those of QEMU's own probes (block/*.c), which is how
 * a program guesses that nobody told the format, and of file(1).
 */
const MAGICS: readonly Magic[] = [
  ["VMDK", 0, "KDMV"],
  ["VMDK", 0, "COWD"],
  ["VDI", 0x40, "\x7f\x10\xda\xbe"],
  ["VHD", 0, "conectix"],
  ["VHD", -512, "conectix"],
  // Virtual PC before 2004 wrote a footer of 511 bytes.
  ["VHD", -511, "conectix"],
  ["VHDX", 0, "vhdxfile"],
  ["QED", 0, "QED\0"],
  ["Parallels", 0, "WithoutFreeSpace"],
  ["Parallels", 0, "WithouFreSpacExt"],
  ["DMG", 0, "koly"],
  ["DMG", -512, "koly"],
  ["ISO 9660", 0x8001, "CD001"],
  ["ISO 9660", 0x8801, "CD001"],
  ["ISO 9660", 0x9001, "CD001"],
  ["UDF", 0x8001, "BEA01"],
  ["Bochs", 0, "Bochs Virtual HD Image"],
  ["cloop", 0, "#!/bin/sh\n#V2.0 Format\n"],
  ["LUKS", 0, "LUKS\xba\xbe"],
  ["LUKS", 0x4000, "SKUL\xba\xbe"],
  ["Expert Witness", 0, "EVF\x09\x0d\x0a\xff\0"],
  ["gzip", 0, "\x1f\x8b"],
  ["xz", 0, "\xfd7zXZ\0"],
  ["zstd", 0, "\x28\xb5\x2f\xfd"],
  ["bzip2", 0, "BZh"],
  ["lz4", 0, "\x04\x22\x4d\x18"],
  ["zip", 0, "PK\x03\x04"],
  ["7z", 0, "7z\xbc\xaf\x27\x1c"],
  ["tar", 257, "ustar"],
  ["qcow", 0, "QFI\xfb\0\0\0\x01"],
];

/** What only one of the two may not be. A raw image has a boot sector of its own. */
const OTHERS = {
  qcow2: ["a boot sector", 510, "\x55\xaa"],
  raw: ["qcow2", 0, "QFI\xfb"],
} as const satisfies Record<string, Magic>;

/** QEMU takes for a VMDK descriptor whatever says so after comments and empty lines; VMware looks at the first line. */
const VMDK_DESCRIPTOR = /^(?:# *disk descriptorfile|(?:#[^\n]*\n|[ ]*\r?\n)*version=)/i;
const DESCRIPTOR_BYTES = 4096;

/**
 * The formats that a file is of by its magic numbers, other than the one that it is said to be of. One is enough to
 * refuse it: two readers would find two meanings in it.
 */
export function foreignFormats(ends: FileEnds, declared: "qcow2" | "raw"): readonly string[] {
  const found = [...MAGICS, OTHERS[declared]]
    .filter((magic) => isThere(ends, magic))
    .map(([format]) => format);
  if (VMDK_DESCRIPTOR.test(ends.head.toString("latin1", 0, DESCRIPTOR_BYTES))) found.push("VMDK");
  return [...new Set(found)];
}

function isThere({ head, tail }: FileEnds, [, at, text]: Magic): boolean {
  const part = at < 0 ? tail : head;
  const start = at < 0 ? tail.length + at : at;
  if (start < 0) return false;
  return part.subarray(start, start + text.length).equals(Buffer.from(text, "latin1"));
}

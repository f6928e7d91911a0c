/**
 * What makes a file that has no header of its own a disk: a partition table, or a file system that a kernel mounts as
 * its root. A raw image must have one of them, and a qcow2 file none: its first bytes are its header.
 */
const KINDS: readonly (readonly [name: string, isThere: (head: Buffer) => boolean])[] = [
  ["GPT", (head) => text(head, 512, 8) === "EFI PART" || text(head, 4096, 8) === "EFI PART"],
  ["MBR", hasMbr],
  ["ext4", hasExt],
  ["XFS", (head) => text(head, 0, 4) === "XFSB"],
  ["btrfs", (head) => text(head, 0x10040, 8) === "_BHRfS_M"],
];

/** Which partition tables and file systems the first bytes of a file show. */
export function bareDiskOf(head: Buffer): readonly string[] {
  return KINDS.filter(([, isThere]) => isThere(head)).map(([name]) => name);
}

function text(head: Buffer, at: number, bytes: number): string {
  return head.toString("latin1", at, at + bytes);
}

const SECTOR_BYTES = 512;
const MBR_ENTRIES_AT = [446, 462, 478, 494];

/** The signature, and a partition that is there. A boot sector alone is a floppy disk or a file system of Windows. */
function hasMbr(head: Buffer): boolean {
  if (head.length < SECTOR_BYTES || head.readUInt16LE(510) !== 0xaa55) return false;
  return MBR_ENTRIES_AT.some((at) => {
    const [status, type] = [head.readUInt8(at), head.readUInt8(at + 4)];
    return (status === 0 || status === 0x80) && type !== 0 && head.readUInt32LE(at + 12) !== 0;
  });
}

const EXT_AT = 1024;

/** Its magic number has two bytes only, so that some of the fields beside it have to make sense too. */
function hasExt(head: Buffer): boolean {
  if (head.length < EXT_AT + 96 || head.readUInt16LE(EXT_AT + 0x38) !== 0xef53) return false;
  return (
    head.readUInt32LE(EXT_AT) !== 0 && // Inodes.
    head.readUInt32LE(EXT_AT + 0x18) <= 6 && // Blocks of 2^(10 + n) bytes.
    head.readUInt32LE(EXT_AT + 0x20) !== 0 && // Blocks in a group.
    head.readUInt32LE(EXT_AT + 0x4c) <= 1 // Revision.
  );
}

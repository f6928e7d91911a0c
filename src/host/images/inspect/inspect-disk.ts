import { type BigIntStats, constants } from "node:fs";
import { type FileHandle, lstat, open } from "node:fs/promises";
import { Fault } from "#job/fault.ts";
import { bareDiskOf } from "./bare-disk.ts";
import { type FileEnds, foreignFormats, HEAD_BYTES, TAIL_BYTES } from "./foreign-formats.ts";
import { type Inspection, inspectHeader } from "./qcow2-header.ts";
import { askInfo, checkTables } from "./qemu-info.ts";

/** The largest disk of an image: 1 TiB, as its manifest's `virtualMiB`. */
export const VIRTUAL_BYTES_MAX = 2 ** 40;

export type DiskClaim = {
  /** A file that nobody writes to any more, and that everyone may read: images are no secrets. */
  readonly path: string;
  readonly format: "qcow2" | "raw";
  readonly virtualBytesMax: number;
  /** What its source says that it is; default: nothing. */
  readonly virtualBytes?: number;
};

/**
 * Judges a file before any machine opens it: one image of this format and nothing else, whole in itself, no larger than it
 * may be. First from its bytes, which costs nothing; what is taken so is given to `qemu-img`, confined, and both must
 * agree. Nothing but the file is read, nothing is written, and twice is safe.
 *
 * What is judged is one open file: whoever changes it or swaps it meanwhile gets a refusal. What lies inside the disk
 * (keys, passwords, boot loader) is not looked at.
 *
 * `refused` is a predicate for people: `has a backing file`. Throws file system errors (ENOENT), the signal's reason, and
 * where this host cannot judge, host-tool-missing and host-path-closed.
 */
export async function inspectDisk(claim: DiskClaim, signal: AbortSignal): Promise<Inspection> {
  signal.throwIfAborted();
  const file = await openFile(claim.path);
  if (file === undefined) return { refused: "is a link, not a file" };
  try {
    const before = await file.stat({ bigint: true });
    const refused = wrongFile(before, claim);
    if (refused !== undefined) return { refused };
    const found = await judge(file, Number(before.size), claim, signal);
    if ("refused" in found) return found;
    const isSame =
      isUnchanged(before, await file.stat({ bigint: true })) &&
      isUnchanged(before, await lstat(claim.path, { bigint: true }));
    return isSame ? found : { refused: "was changed while it was inspected" };
  } finally {
    await file.close();
  }
}

/** Neither follows a link nor waits for a FIFO's writer. */
async function openFile(path: string): Promise<FileHandle | undefined> {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  try {
    return await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ELOOP") return undefined;
    throw error;
  }
}

function wrongFile(found: BigIntStats, { path, virtualBytesMax }: DiskClaim): string | undefined {
  if (!found.isFile()) return "is not a regular file";
  if (found.nlink !== 1n && !isFrozen(found))
    return `has ${found.nlink} names, so that it may be changed by another`;
  // An image that is full is its disk and some tables.
  if (found.size > 2n * BigInt(virtualBytesMax)) return `is ${found.size} bytes long`;
  if (process.getuid?.() === 0 && (found.mode & 0o004n) === 0n)
    throw new Fault("host-path-closed", `${path} is not readable by everyone: chmod a+r`);
  return undefined;
}

/** Images of one store may share a file, which is ours and which nobody may write to. */
function isFrozen({ mode, uid }: BigIntStats): boolean {
  return (mode & 0o222n) === 0n && uid === BigInt(process.getuid?.() ?? 0);
}

/** The cheap questions first: what is plainly wrong never meets a program. */
async function judge(
  file: FileHandle,
  fileBytes: number,
  claim: DiskClaim,
  signal: AbortSignal,
): Promise<Inspection> {
  const ends = await readEnds(file, fileBytes);
  const own = inspectEnds(ends, { ...claim, fileBytes });
  if ("refused" in own) return own;
  if (claim.virtualBytes !== undefined && claim.virtualBytes !== own.virtualBytes)
    return {
      refused: `has a virtual size of ${own.virtualBytes} bytes, not of ${claim.virtualBytes}`,
    };
  const question = { fd: file.fd, signal };
  const asked = await askInfo(claim.format, question);
  if ("refused" in asked) return asked;
  if (asked.virtualBytes !== own.virtualBytes)
    return {
      refused: `has a virtual size of ${own.virtualBytes} bytes, and of ${asked.virtualBytes} to qemu-img`,
    };
  const damage = claim.format === "qcow2" ? await checkTables(question) : undefined;
  return damage === undefined ? own : { refused: damage };
}

/** What both ends of a file tell of it, without any program. Never throws, whatever the bytes are. */
export function inspectEnds(
  ends: FileEnds,
  claim: Pick<DiskClaim, "format" | "virtualBytesMax"> & { readonly fileBytes: number },
): Inspection {
  const { format, fileBytes, virtualBytesMax } = claim;
  const foreign = foreignFormats(ends, format);
  const bare = bareDiskOf(ends.head);
  if (format === "qcow2") {
    const others = [...foreign, ...bare];
    if (others.length > 0) return { refused: `is ${others.join(" and ")}, and not qcow2 alone` };
    return inspectHeader(ends.head, claim);
  }
  if (foreign.length > 0) return { refused: `is ${foreign.join(" and ")}, and not raw alone` };
  if (bare.length === 0)
    return { refused: "has neither a partition table nor a file system of Linux" };
  if (fileBytes % 512 !== 0 || fileBytes > virtualBytesMax)
    return { refused: `has a virtual size of ${fileBytes} bytes` };
  return { virtualBytes: fileBytes };
}

async function readEnds(file: FileHandle, fileBytes: number): Promise<FileEnds> {
  const part = async (position: number, bytes: number) => {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(bytes), 0, bytes, position);
    return buffer.subarray(0, bytesRead);
  };
  return {
    head: await part(0, HEAD_BYTES),
    tail: await part(Math.max(0, fileBytes - TAIL_BYTES), TAIL_BYTES),
  };
}

function isUnchanged(before: BigIntStats, after: BigIntStats): boolean {
  return (["dev", "ino", "size", "mtimeNs", "ctimeNs"] as const).every(
    (field) => before[field] === after[field],
  );
}

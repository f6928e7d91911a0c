import { open } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { MAGIC } from "#host/images/inspect/qcow2-header.ts";
import { DIGEST_PATTERN } from "./manifest.ts";

/** The disk of a machine of this host. */
type MachineDisk = { readonly machine: string; readonly path: string };

/** Lists the disks of all machines whose images lie in the store, running, kept or left over. */
export type ListDisks = () => Promise<readonly MachineDisk[]>;

/** A store, and who may have disks on its images; by default nobody. */
export type Place = { readonly store: string; readonly listDisks?: ListDisks };

const HEADER_BYTES_MAX = 4096;

/**
 * Which machines' disks stand on which image, by digest. A disk says so in its header, which `encodeOverlay` wrote and which
 * no guest can change: what a guest writes lands in data clusters. A disk that is gone, or not whole yet, stands on
 * none: while it is being made, its maker holds the image.
 */
export async function machinesByDigest({
  store,
  listDisks,
}: Place): Promise<ReadonlyMap<string, readonly string[]>> {
  const found = new Map<string, string[]>();
  for (const { machine, path } of (await listDisks?.()) ?? []) {
    const backing = await backingPath(path);
    if (backing === undefined) continue;
    const folder = dirname(backing);
    const digest = basename(folder);
    if (dirname(folder) !== store || !new RegExp(DIGEST_PATTERN).test(digest)) continue;
    found.set(digest, [...(found.get(digest) ?? []), machine]);
  }
  return found;
}

/** The backing file that a qcow2 header names; undefined when the file is gone, no qcow2, or names none. */
async function backingPath(path: string): Promise<string | undefined> {
  const handle = await open(path, "r").catch(() => undefined);
  if (handle === undefined) return undefined;
  try {
    const { buffer, bytesRead } = await handle.read({ buffer: Buffer.alloc(HEADER_BYTES_MAX) });
    if (bytesRead < 24 || buffer.readUInt32BE(0) !== MAGIC) return undefined;
    const [at, length] = [Number(buffer.readBigUInt64BE(8)), buffer.readUInt32BE(16)];
    if (at === 0 || at + length > bytesRead) return undefined;
    return buffer.toString("utf8", at, at + length);
  } finally {
    await handle.close();
  }
}

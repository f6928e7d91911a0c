import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, open, rm, statfs } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "#job/fault.ts";
import { FileLock } from "#lib/file-lock.ts";
import { makeFolders } from "#lib/make-folders.ts";
import { copyIn } from "./copy-in.ts";
import { inOurWords, refused } from "./fetch-faults.ts";
import { FETCH_LIMITS, type FetchLimits } from "./fetch-limits.ts";
import { PartFile } from "./part-file.ts";
import { transfer } from "./transfer.ts";
import { checkedUrl, type FetchRules } from "./url-rules.ts";
import { forgetValidator } from "./validators.ts";

/** What to fetch: an address, or an absolute path of a plain file; how long it is, and its SHA-256 in hexadecimal. */
export type Source = ({ readonly url: string } | { readonly path: string }) & {
  readonly bytes: number;
  readonly sha256: string;
};

export type Download = {
  readonly source: Source;
  /** The store's `fetching/`; made when it is missing. */
  readonly folder: string;
  readonly rules: FetchRules;
  /** Called at the beginning, with what is there already, and for each piece: many times a second. */
  readonly onProgress: (progress: {
    readonly doneBytes: number;
    readonly totalBytes: number;
  }) => void;
  /** Called once when another process, or another call, is fetching the same file. */
  readonly onWait?: () => void;
  readonly limits?: FetchLimits;
};

/**
 * Fetches a file and returns its path, `<folder>/<sha256>`; it is whole then, and its SHA-256 was checked. Twice is safe, and at once too: one
 * fetches, the others wait and take what it has fetched. Whoever needs it no longer removes it.
 *
 *     <sha256>             whole
 *     <sha256>.part        what has come so far; a process that was killed leaves this, and the next one asks for the rest
 *     <sha256>.part.json   which version of the server's file that is
 *     <sha256>.lock        held by the one that writes
 *
 * A part stays when the network or the disk was the trouble, and goes when the content was. Throws image-refused, image-fetch-failed,
 * host-disk-full, or the signal's reason. The whole has no deadline but the caller's signal: each wait has one, and a server that is
 * slower than `limits` say is given up.
 */
export async function download(order: Download, signal: AbortSignal): Promise<string> {
  const { source, folder } = order;
  const path = join(folder, source.sha256);
  return await inOurWords(path, signal, async () => {
    await makeFolders(folder, 0o700);
    using _lock = await lockOf(path, order, signal);
    if (await isWhole(path, source, signal)) return path;
    await using part = await PartFile.open(`${path}.part`, source.bytes, signal);
    try {
      await complete(part, order, signal);
      await part.finish(path);
    } finally {
      // Nothing came, or it was wrong: there is nothing to go on with.
      if (part.bytes === 0) await part.remove();
      if (part.bytes === 0 || part.bytes === source.bytes) await forgetValidator(part.path);
    }
    return path;
  });
}

async function complete(part: PartFile, order: Download, signal: AbortSignal): Promise<void> {
  const { source } = order;
  for (let isAgain = false; ; isAgain = true) {
    await fill(part, order, signal);
    if (part.sha256 === source.sha256) return;
    const { sha256, isOfPieces } = part;
    await part.empty();
    // Perhaps it is the pieces that do not fit together.
    if (isOfPieces && !isAgain) continue;
    const where = "url" in source ? source.url : source.path;
    throw refused(`${where} has SHA-256 ${sha256}, not ${source.sha256}`);
  }
}

async function fill(part: PartFile, order: Download, signal: AbortSignal): Promise<void> {
  const { source, rules, onProgress, limits = FETCH_LIMITS } = order;
  const { bytes } = source;
  await checkRoom(order.folder, bytes - part.bytes);
  const onPiece = () => onProgress({ doneBytes: part.bytes, totalBytes: bytes });
  onPiece();
  if ("path" in source) return await copyIn(part, { path: source.path, bytes, onPiece }, signal);
  const url = checkedUrl(source.url, rules);
  await transfer(part, { url, bytes, rules, limits, onPiece }, signal);
}

async function lockOf(path: string, { onWait }: Download, signal: AbortSignal): Promise<FileLock> {
  const lock = FileLock.tryTake(`${path}.lock`);
  if (lock !== undefined) return lock;
  onWait?.();
  return await FileLock.take(`${path}.lock`, signal);
}

/** Sooner than after an hour of fetching. Others may fill the disk meanwhile: then writing fails, and the part stays. */
async function checkRoom(folder: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  if (bavail * bsize >= bytes) return;
  throw new Fault(
    "host-disk-full",
    `${folder} has room for ${bavail * bsize} more bytes, and ${bytes} are to be fetched: free some space`,
  );
}

/** Whether the file is there as it should be; one that somebody has changed is removed. */
async function isWhole(path: string, source: Source, signal: AbortSignal): Promise<boolean> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const file = await open(path, flags).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (file === undefined) return false;
  await using _closed = file;
  const { size } = await file.stat();
  if (size === source.bytes && (await sha256Of(file, signal)) === source.sha256) return true;
  await rm(path, { force: true });
  return false;
}

async function sha256Of(file: FileHandle, signal: AbortSignal): Promise<string> {
  const hash = createHash("sha256");
  const stream = file.createReadStream({ highWaterMark: 2 ** 20, autoClose: false, signal });
  for await (const piece of stream) hash.update(piece as Buffer);
  return hash.digest("hex");
}

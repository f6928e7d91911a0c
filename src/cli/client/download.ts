import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, open, rm } from "node:fs/promises";
import { printable } from "#lib/printable.ts";
import type { WireArtifact } from "#protocol/verdict.ts";
import { hashFile } from "./digest-file.ts";
import type { Follower } from "./follow.ts";
import { asLost } from "./patience.ts";
import { ForeignAnswer } from "./service-error.ts";

/** What a download is made of; `part` is the file that grows, and stays when the download is interrupted. */
export type Download = {
  readonly job: string;
  readonly artifact: WireArtifact;
  readonly part: string;
  readonly onBytes: (bytes: number) => void;
};

/**
 * Fetches an artifact into its part, from where an earlier try ended. When it returns the part is whole and has its digest.
 * Throws `ForeignAnswer` when what comes is something else, and what the file system says.
 */
export async function download(follower: Follower, order: Download): Promise<void> {
  try {
    await fetchInto(follower, order);
  } catch (error) {
    if (error instanceof ForeignAnswer) await rm(order.part, { force: true });
    throw error;
  }
}

async function fetchInto(follower: Follower, order: Download): Promise<void> {
  // Nobody else makes this name; a link under it would lead elsewhere.
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;
  await using file = await open(order.part, flags, 0o666);
  const { size } = await file.stat();
  const { bytes } = order.artifact;
  if (size <= bytes && (await fetchFrom(follower, order, file, size))) return;
  await file.truncate(0);
  // What was there before was of no use; from nothing it must be right.
  if (await fetchFrom(follower, order, file, 0)) return;
  const { path } = order.artifact;
  throw new ForeignAnswer(`what came as ${printable(path)} does not have the digest that was told`);
}

/** Fetches all after `from`, whatever breaks in between; whether the whole then has its digest. */
async function fetchFrom(
  { client, patience, signal }: Follower,
  { job, artifact, part, onBytes }: Download,
  file: FileHandle,
  from: number,
): Promise<boolean> {
  const { sha256, bytes } = artifact;
  const hash = createHash("sha256");
  if (from > 0) await hashFile(hash, part);
  onBytes(from);
  let at = from;
  for (let tries = 0; at < bytes; tries += 1) {
    const headers = { range: `bytes=${at}-` };
    const path = { job, sha256 };
    const { status, body } = await patience.until(() =>
      client.bytes("readArtifact", { path, headers, signal }),
    );
    if (status !== 206) {
      body.destroy();
      throw new ForeignAnswer("what answers does not know ranges: is a proxy in between?");
    }
    const pieces = (body as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
    for (;;) {
      const next = await pieces.next().catch(async (error: unknown) => {
        await patience.sitOut(asLost(error), Math.max(tries, 0));
        return undefined;
      });
      if (next === undefined || next.done === true) break;
      const piece = next.value;
      if (at + piece.length > bytes) {
        body.destroy();
        throw new ForeignAnswer(`${printable(artifact.path)} is longer than was told`);
      }
      await file.write(piece, 0, piece.length, at);
      hash.update(piece);
      at += piece.length;
      tries = -1;
      onBytes(piece.length);
    }
    // An answer that ends too early without any trouble is not asked for without end.
    if (tries >= 0) await patience.pause(tries);
  }
  return hash.digest("hex") === sha256;
}

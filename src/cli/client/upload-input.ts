import { Readable } from "node:stream";
import { UnreadableFile } from "#lib/tar/read-folder.ts";
import { Refused } from "#protocol/refused.ts";
import type { Have } from "#protocol/service-client.ts";
import { ByteSource } from "./byte-source.ts";
import { type DigestedInput, unreadable } from "./digest-inputs.ts";
import type { Follower } from "./follow.ts";

/** One request. A service gives it five minutes: enough for half a megabit a second. */
const REQUEST_BYTES_MAX = 16 * 2 ** 20;

/**
 * Uploads an input as far as the service lacks it, in pieces that each go on where the last one ended, whatever breaks in
 * between. `onHave` hears how much is there. Throws the fault `input-unreadable` when the input is not any more what it was.
 */
export async function uploadInput(
  uploader: Follower,
  input: DigestedInput,
  onHave: (bytes: number) => void,
): Promise<void> {
  const { patience } = uploader;
  for (let tries = 0; ; tries += 1) {
    const before = await patience.until(() => haveOf(uploader, input));
    onHave(before.haveBytes);
    if (before.isComplete) return;
    try {
      return await sendFrom(uploader, input, before.haveBytes, (bytes) => {
        tries = 0;
        onHave(bytes);
      });
    } catch (error) {
      if (error instanceof Refused && error.slug === "wrong-digest")
        throw unreadable(input.from, new Error("changed while it was sent; submit again"));
      const cause = error instanceof Error ? error.cause : undefined;
      if (cause instanceof UnreadableFile) throw unreadable(input.from, cause);
      // Somebody else uploads the same: their bytes are ours.
      if (error instanceof Refused && error.slug === "wrong-offset") await patience.pause(tries);
      else await patience.sitOut(error, tries);
    }
  }
}

async function haveOf({ client, signal }: Follower, { wire }: DigestedInput): Promise<Have> {
  try {
    return await client.have("haveInput", { path: { sha256: wire.sha256 }, signal });
  } catch (error) {
    if (error instanceof Refused && error.slug === "not-found")
      return { haveBytes: 0, isComplete: false };
    throw error;
  }
}

async function sendFrom(
  { client, signal }: Follower,
  { wire, open }: DigestedInput,
  from: number,
  onHave: (bytes: number) => void,
): Promise<void> {
  await using source = new ByteSource(open(from));
  for (let at = from; ; ) {
    const bytes = Math.min(wire.bytes - at, REQUEST_BYTES_MAX);
    const have = await client.have("writeInput", {
      path: { sha256: wire.sha256 },
      query: { offset: at, total: wire.bytes },
      bytes: { bytes, open: () => Readable.from(source.take(bytes), { objectMode: false }) },
      signal,
    });
    at += bytes;
    onHave(have.haveBytes);
    if (have.isComplete) return;
    if (bytes === 0) throw new Error(`the service has all of ${wire.sha256} and is not content`);
  }
}

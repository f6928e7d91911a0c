import type { ContentKey, Have } from "#service/file-ports.ts";
import type { Ask, Reply } from "./ask.ts";
import { Refusal } from "./refusal.ts";
import type { Rooms } from "./rooms.ts";

type Upload = Pick<Ask<unknown>, "source" | "sourceBytes"> & {
  readonly query: { readonly offset: number; readonly total: number };
};

/** Tells how much of something there is. */
export function haveReply({ haveBytes, isComplete }: Have): Reply {
  return {
    status: 204,
    headers: { "testbed-have-bytes": String(haveBytes), "testbed-complete": String(isComplete) },
  };
}

/** Refuses a content that would be too long, and a part that would be longer than the whole. */
export function checkTotal(
  { limits }: Rooms,
  { query: { offset, total }, sourceBytes }: Upload,
): void {
  if (total > limits.contentBytes)
    throw new Refusal("too-large", {
      detail: `a content has at most ${limits.contentBytes} bytes`,
    });
  if (offset + sourceBytes > total) {
    const says = `${offset} + ${sourceBytes} bytes are more than the total of ${total}`;
    throw new Refusal("invalid", { detail: says, violations: [{ path: "query.total", says }] });
  }
}

/** Takes a part of a content, and tells how much there is now; refuses what does not go on from there. */
export async function takeUpload(
  { contents }: Rooms,
  key: ContentKey,
  { query: { offset, total }, source }: Upload,
): Promise<Have> {
  const written = await contents.write(key, { offset, totalBytes: total }, source);
  if (written.kind === "wrong-digest") throw new Refusal("wrong-digest", { haveBytes: 0 });
  if (written.kind === "wrong-offset")
    throw new Refusal("wrong-offset", { haveBytes: written.haveBytes });
  return written;
}

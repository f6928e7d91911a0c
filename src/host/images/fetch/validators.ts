import { rm } from "node:fs/promises";
import type { IncomingHttpHeaders } from "node:http";
import { writeAtomically } from "#lib/atomic-file.ts";
import { readRegularFile } from "#lib/read-regular-file.ts";

/**
 * How the server tells which version of a file the bytes in a part are of (RFC 9110, 13.1.5): a strong ETag, or else a date. Kept beside the
 * part, `<digest>.part.json`, so that the rest can be asked for on the condition that it is still the same file.
 */
type Validator = { readonly url: string; readonly ifRange: string };

const BYTES_MAX = 8 * 1024;

/** What `If-Range` has to say to go on with a part from this URL; undefined when that is not known. */
export async function rememberedValidator(part: string, url: URL): Promise<string | undefined> {
  try {
    const { bytes } = await readRegularFile(`${part}.json`, BYTES_MAX);
    const { url: from, ifRange } = JSON.parse(bytes.toString()) as Partial<Validator>;
    const isSafe = typeof ifRange === "string" && /^[\x20-\x7e]{1,1024}$/.test(ifRange);
    return from === url.href && isSafe ? ifRange : undefined;
  } catch {
    // Without it the rest is asked for as it is now: the digest decides in the end.
    return undefined;
  }
}

/** Remembers which version of the file a part begins to hold. */
export async function rememberValidator(
  part: string,
  url: URL,
  { etag, "last-modified": modified }: IncomingHttpHeaders,
): Promise<void> {
  const ifRange = etag?.startsWith('"') === true ? etag : modified;
  if (ifRange === undefined) return await forgetValidator(part);
  const validator: Validator = { url: url.href, ifRange };
  await writeAtomically(`${part}.json`, JSON.stringify(validator), 0o600);
}

export async function forgetValidator(part: string): Promise<void> {
  await rm(`${part}.json`, { force: true });
}

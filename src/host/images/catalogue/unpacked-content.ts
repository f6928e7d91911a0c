import { createHash } from "node:crypto";
import { type Compression, unpacked } from "#host/images/fetch/unpacked.ts";
import { Fault } from "#job/fault.ts";
import { CatalogueRefused } from "./refused.ts";

/** Length and SHA-256. */
export type Content = { readonly bytes: number; readonly sha256: string };

/**
 * What comes out of a compressed file as hosts unpack it, read as a stream. `name` is the file's in messages. Throws
 * `CatalogueRefused` for one that is not of its compression, or goes on with something else; host-tool-missing where there is no xz.
 */
export async function unpackedContent(
  path: string,
  { name, compression }: { readonly name: string; readonly compression: Compression },
  signal: AbortSignal,
): Promise<Content> {
  const hash = createHash("sha256");
  let bytes = 0;
  try {
    for await (const piece of unpacked(path, compression, signal)) {
      hash.update(piece);
      bytes += piece.length;
    }
  } catch (error) {
    if (!(error instanceof Fault) || error.code !== "image-refused") throw error;
    // The fault names the file by its whole path.
    const says = error.message.replace(`${path} `, "");
    throw new CatalogueRefused(`${name}: ${says}`, { cause: error });
  }
  return { bytes, sha256: hash.digest("hex") };
}

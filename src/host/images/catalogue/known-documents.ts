import { createHash } from "node:crypto";
import { readDocument } from "./document.ts";
import type { CatalogueDocument } from "./document-schema.ts";
import { CatalogueRefused } from "./refused.ts";

/** As many as a host follows at most. */
const KNOWN_MAX = 16;

const known = new Map<string, CatalogueDocument>();

/**
 * The document in bytes that have this SHA-256. Each job asks for it, and the longest takes a third of a second to read: those
 * that were read last are remembered by what they are, so that none is ever out of date. Throws `CatalogueRefused`.
 */
export function readKnownDocument(text: Uint8Array, sha256: string): CatalogueDocument {
  if (createHash("sha256").update(text).digest("hex") !== sha256)
    throw new CatalogueRefused("has not the SHA-256 in its name");
  const document = known.get(sha256) ?? readDocument(text);
  known.delete(sha256);
  known.set(sha256, document);
  for (const oldest of known.keys()) {
    if (known.size <= KNOWN_MAX) break;
    known.delete(oldest);
  }
  return document;
}

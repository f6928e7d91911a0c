import { createHash, createPublicKey, type KeyObject, verify } from "node:crypto";
import { CatalogueRefused } from "./refused.ts";

/**
 * Signatures in minisign's format, checked in this process; signing is minisign's own business. The format:
 * https://jedisct1.github.io/minisign/ ("Signature format", "Public key format").
 *
 *     untrusted comment: <anything>                                           covered by nothing
 *     base64(<"ED" or "Ed"> <8 bytes key id> <64 bytes signature>)
 *     trusted comment: <anything>
 *     base64(<64 bytes signature over the signature above and the comment>)
 *
 * With `ED` the content's BLAKE2b-512 is signed; with `Ed`, which minisign wrote in former times, the content itself.
 */

/** A public key of somebody whom the admin trusts. */
export type PublicKey = {
  /** Up to sixteen upper-case hex digits without zeros before them, as minisign shows it. */
  readonly id: string;
  readonly key: KeyObject;
};

type Signature = {
  readonly isPrehashed: boolean;
  readonly keyId: string;
  readonly signature: Uint8Array;
  readonly trustedComment: string;
  readonly globalSignature: Uint8Array;
};

const ALGORITHM = { prehashed: "ED", legacy: "Ed" } as const;
const KEY_ID_BYTES = 8;
const KEY_BYTES = 2 + KEY_ID_BYTES + 32;
const SIGNATURE_BYTES = 64;
/** minisign's own limits are 1024 for the first comment and 8192 for the second. */
const FILE_BYTES_MAX = 16 * 1024;
const UNTRUSTED = "untrusted comment: ";
const TRUSTED = "trusted comment: ";
/** SubjectPublicKeyInfo of an Ed25519 key up to the key itself (RFC 8410, section 4). */
const SPKI_START = Buffer.from("302a300506032b6570032100", "hex");

/**
 * A public key from the line that minisign prints (56 characters, `RW…`), or from the text of its file, which has an
 * untrusted comment before it. Throws `CatalogueRefused`.
 */
export function readPublicKey(text: string): PublicKey {
  const lines = linesOf(text);
  const line = lines.length === 2 && lines[0]?.startsWith(UNTRUSTED) ? lines[1] : lines[0];
  const hasMore = lines.length > 2 || (lines.length === 2 && line === lines[0]);
  const bytes = hasMore || text.length > FILE_BYTES_MAX ? undefined : base64(line, KEY_BYTES);
  // Not quoted: it may be the secret key by mistake.
  if (bytes === undefined || bytes.toString("latin1", 0, 2) !== ALGORITHM.legacy)
    throw new CatalogueRefused("is no minisign public key: 56 characters that begin with RW");
  const der = Buffer.concat([SPKI_START, bytes.subarray(2 + KEY_ID_BYTES)]);
  return {
    id: idOf(bytes),
    key: createPublicKey({ key: der, format: "der", type: "spki" }),
  };
}

/**
 * Checks that one of these keys signed exactly this content and the signature's trusted comment. Throws
 * `CatalogueRefused` saying which of it does not hold.
 */
export function verifySignature(
  content: Uint8Array,
  signatureFile: Uint8Array,
  keys: readonly PublicKey[],
): { readonly keyId: string; readonly trustedComment: string } {
  const read = readSignature(signatureFile);
  const { keyId, trustedComment, signature } = read;
  const signers = keys.filter(({ id }) => id === keyId);
  if (signers.length === 0) {
    const trusted = keys.map(({ id }) => id).join(", ") || "none";
    throw new CatalogueRefused(`is signed by key ${keyId}; the trusted keys are ${trusted}`);
  }
  const message = read.isPrehashed ? createHash("blake2b512").update(content).digest() : content;
  // A key id is eight random bytes that anybody may copy: each key that has it is tried.
  const signer = signers.find(({ key }) => verify(null, message, key, signature));
  if (signer === undefined)
    throw new CatalogueRefused(
      `is not what key ${keyId} signed: the signature is over other bytes`,
    );
  const global = Buffer.concat([signature, Buffer.from(trustedComment)]);
  if (!verify(null, global, signer.key, read.globalSignature))
    throw new CatalogueRefused(`has a signature whose trusted comment is not what ${keyId} signed`);
  return { keyId, trustedComment };
}

function readSignature(file: Uint8Array): Signature {
  if (file.length > FILE_BYTES_MAX)
    throw unreadable(`is ${file.length} bytes long; it has at most ${FILE_BYTES_MAX}`);
  const [untrusted, first, trusted, second, ...more] = linesOf(decode(file));
  if (!untrusted?.startsWith(UNTRUSTED)) throw unreadable(`does not begin with '${UNTRUSTED}'`);
  const head = base64(first, 2 + KEY_ID_BYTES + SIGNATURE_BYTES);
  if (head === undefined) throw unreadable("has no signature in its second line");
  const algorithm = head.toString("latin1", 0, 2);
  if (algorithm !== ALGORITHM.prehashed && algorithm !== ALGORITHM.legacy)
    throw unreadable("is of an algorithm that is not minisign's");
  if (!trusted?.startsWith(TRUSTED)) throw unreadable("has no trusted comment in its third line");
  const globalSignature = base64(second, SIGNATURE_BYTES);
  if (globalSignature === undefined) throw unreadable("has no signature in its fourth line");
  if (more.length > 0) throw unreadable("has more than four lines");
  return {
    isPrehashed: algorithm === ALGORITHM.prehashed,
    keyId: idOf(head),
    signature: head.subarray(2 + KEY_ID_BYTES),
    trustedComment: trusted.slice(TRUSTED.length),
    globalSignature,
  };
}

function unreadable(what: string): CatalogueRefused {
  return new CatalogueRefused(`has no usable signature: the file ${what}`);
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw unreadable("is not text in UTF-8");
  }
}

/** Without the last line's end; minisign, too, takes lines that end in CR LF. */
function linesOf(text: string): string[] {
  return text.replace(/\r?\n$/, "").split(/\r?\n/);
}

/** Exactly so many bytes, in the one way to write them; undefined when it is something else. */
function base64(line: string | undefined, bytes: number): Buffer | undefined {
  if (line === undefined || line.length !== 4 * Math.ceil(bytes / 3)) return undefined;
  const read = Buffer.from(line, "base64");
  return read.length === bytes && read.toString("base64") === line ? read : undefined;
}

/** The key id is a little-endian number, and shown as one. */
function idOf(bytes: Buffer): string {
  return bytes.readBigUInt64LE(2).toString(16).toUpperCase();
}

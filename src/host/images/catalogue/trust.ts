import { createHash } from "node:crypto";
import { printable } from "#lib/printable.ts";
import { readDocument } from "./document.ts";
import type { CatalogueDocument } from "./document-schema.ts";
import { type PublicKey, verifySignature } from "./minisign.ts";
import { CatalogueRefused } from "./refused.ts";

/** Where a catalogue comes from, and whom the admin trusts with it. */
export type CatalogueSource = {
  /** The document's https address or absolute path, as configured. */
  readonly address: string;
  readonly keys: readonly PublicKey[];
  /** Signatures are not asked for. One that holds is noted all the same. */
  readonly allowUnsigned: boolean;
};

/** What a host remembers of a catalogue that it took. Only ever made by `judge`. */
export type Seen = {
  readonly name: string;
  /** The source's address. */
  readonly source: string;
  /** The highest version that was taken, and the SHA-256 of its document. */
  readonly version: number;
  readonly sha256: string;
  /** Digests of images by `name:version`, those of former documents too, the latest last. */
  readonly digests: Readonly<Record<string, string>>;
};

export type Judgement =
  | {
      readonly document: CatalogueDocument;
      /** To be remembered with the document. */
      readonly seen: Seen;
      /** False when it is the one that was taken last. Where its file is damaged it is written all the same. */
      readonly isNew: boolean;
      /** The id of the key that signed it; undefined when none did that is trusted. */
      readonly signedBy: string | undefined;
    }
  | { readonly refused: string };

/** A host's clock may be so much ahead. */
const CLOCK_SKEW_MS = 5 * 60_000;
/** The most that a version may rise at once: who can sign once cannot use up all numbers (a fast-forward attack). */
const STEP_MAX = 1_000_000;
/** Of all images that a catalogue ever had; some 2 MiB. */
const DIGESTS_MAX = 20_000;

/**
 * Whether a catalogue is taken, by The Update Framework's attacks: signed by a trusted key (arbitrary software), not
 * older than what was taken (rollback), not expired (freeze), no huge step (fast-forward), and no image that was there
 * with another digest. `seen` is all that this host remembers of any catalogue: a name belongs to one source, a source has
 * one name. Nothing is changed: whoever is told `refused`, one printable line that begins with a verb, keeps what it has.
 */
export function judge(asked: {
  readonly text: Uint8Array;
  readonly signature: Uint8Array | undefined;
  readonly source: CatalogueSource;
  readonly seen: readonly Seen[];
  readonly nowMs: number;
}): Judgement {
  const { text, source, seen, nowMs } = asked;
  try {
    const signedBy = signerOf(text, asked.signature, source);
    const document = readDocument(text);
    if (isExpired(document, nowMs))
      throw new CatalogueRefused(`has expired: it was good until ${document.expires}`);
    const before = ofSource(document, source, seen);
    const sha256 = createHash("sha256").update(text).digest("hex");
    if (before !== undefined) checkVersion(document.version, sha256, before);
    const digests = digestsOf(document, before);
    const { name, version } = document;
    return {
      document,
      seen: { name, source: source.address, version, sha256, digests },
      isNew: sha256 !== before?.sha256,
      signedBy,
    };
  } catch (error) {
    if (error instanceof CatalogueRefused) return { refused: error.message };
    throw error;
  }
}

/**
 * Why a document that was taken in former times is not to be followed now: it has expired, or the admin has stopped
 * trusting the key that signed it. Undefined when it is as good as ever. Images that came of it stay what they are.
 */
export function whyNoLongerGood(
  good: {
    readonly document: CatalogueDocument;
    readonly text: Uint8Array;
    readonly signature: Uint8Array | undefined;
  },
  source: CatalogueSource,
  nowMs: number,
): string | undefined {
  try {
    signerOf(good.text, good.signature, source);
    if (!isExpired(good.document, nowMs)) return undefined;
    return `has expired: it was good until ${good.document.expires}`;
  } catch (error) {
    if (error instanceof CatalogueRefused) return error.message;
    throw error;
  }
}

function isExpired({ expires }: CatalogueDocument, nowMs: number): boolean {
  return nowMs > Date.parse(expires) + CLOCK_SKEW_MS;
}

/** The id of the trusted key that signed this. Throws `CatalogueRefused` where a signature is asked for and none holds. */
function signerOf(
  text: Uint8Array,
  signature: Uint8Array | undefined,
  { keys, allowUnsigned }: CatalogueSource,
): string | undefined {
  try {
    if (signature === undefined) throw new CatalogueRefused("is not signed");
    return verifySignature(text, signature, keys).keyId;
  } catch (error) {
    if (allowUnsigned && error instanceof CatalogueRefused) return undefined;
    throw error;
  }
}

function ofSource(
  { name }: CatalogueDocument,
  { address }: CatalogueSource,
  seen: readonly Seen[],
): Seen | undefined {
  const former = seen.find(({ source }) => source === address);
  if (former !== undefined && former.name !== name)
    throw new CatalogueRefused(`is called '${name}'; this source's catalogue is '${former.name}'`);
  const namesake = seen.find((other) => other.name === name);
  if (namesake !== undefined && namesake.source !== address)
    throw new CatalogueRefused(
      `is called '${name}', which is the catalogue from ${printable(namesake.source)}`,
    );
  return former;
}

function checkVersion(version: number, sha256: string, before: Seen): void {
  if (version < before.version)
    throw new CatalogueRefused(
      `is version ${version}, older than ${before.version}, which this host has taken (a rollback)`,
    );
  if (version > before.version + STEP_MAX)
    throw new CatalogueRefused(
      `is version ${version}, more than ${STEP_MAX} above ${before.version} (a fast-forward)`,
    );
  if (version === before.version && sha256 !== before.sha256)
    throw new CatalogueRefused(`is version ${version} as before, but with other content`);
}

/** The digests to remember. Throws where an image's version has another one than it had. */
function digestsOf({ images }: CatalogueDocument, before: Seen | undefined): Seen["digests"] {
  const known = new Map(Object.entries(before?.digests ?? {}));
  for (const { name, versions } of images) {
    for (const { version, digest } of versions) {
      const key = `${name}:${version}`;
      const former = known.get(key);
      if (former !== undefined && former !== digest)
        throw new CatalogueRefused(
          `has ${key} with digest ${digest}; it had ${former}, and versions never change`,
        );
      known.delete(key);
      known.set(key, digest);
    }
  }
  return Object.fromEntries([...known].slice(-DIGESTS_MAX));
}

import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { DIGEST_PATTERN, NAME_PATTERN } from "#host/images/store/manifest.ts";
import { makeShared, writeShared } from "#host/images/store/shared.ts";
import { printable } from "#lib/printable.ts";
import { readRegularFile, UnreadableError } from "#lib/read-regular-file.ts";
import { compileSchema } from "#lib/validate.ts";
import { DOCUMENT_BYTES_MAX } from "./document.ts";
import type { CatalogueDocument } from "./document-schema.ts";
import { readKnownDocument } from "./known-documents.ts";
import { CatalogueRefused } from "./refused.ts";
import type { Seen } from "./trust.ts";

/**
 * What a host keeps of catalogues, below its store:
 *
 *     catalogues/<name>/seen.json                what was taken last; written last, and alone decides
 *     catalogues/<name>/<sha256>.json            the document that it means
 *     catalogues/<name>/<sha256>.json.minisig    its signature, when it has one
 *
 * So whoever dies while writing leaves the former catalogue whole; files that seen.json does not mean go with the next
 * write.
 */

const SEEN_SCHEMA = {
  type: "object",
  additionalProperties: false,
  required: ["schema", "name", "source", "version", "sha256", "digests"],
  properties: {
    schema: { enum: [1] },
    name: { type: "string", pattern: NAME_PATTERN },
    source: { type: "string", minLength: 1 },
    version: { type: "integer", minimum: 1 },
    sha256: { type: "string", pattern: DIGEST_PATTERN },
    digests: { type: "object", additionalProperties: { type: "string", pattern: DIGEST_PATTERN } },
  },
} as const;

const violations = compileSchema(SEEN_SCHEMA, "first");

const SEEN_NAME = "seen.json";
const SEEN_BYTES_MAX = 8 * 1024 * 1024;
const SIGNATURE_BYTES_MAX = 64 * 1024;

/** A catalogue as this host took it last. */
type CatalogueState = {
  readonly seen: Seen;
  /**
   * The last good document, the bytes that were signed, and the signature. Undefined when they are damaged: then the
   * rules of `seen` hold, and the same version is taken again.
   */
  readonly good:
    | {
        readonly document: CatalogueDocument;
        readonly text: Uint8Array;
        readonly signature: Uint8Array | undefined;
      }
    | undefined;
};

/** What a store has of catalogues. */
export type Catalogues = {
  readonly states: readonly CatalogueState[];
  /** A sentence for each that is damaged. */
  readonly damage: readonly string[];
  /** Names of those whose seen.json is there and cannot be read now: who took one of them anew would forget what it must not go back to. */
  readonly closed: ReadonlySet<string>;
};

/**
 * Every catalogue of a store, sorted by name: one whose seen.json cannot be understood counts as none, one whose document is not what
 * seen.json says has none. Changes nothing.
 */
export async function readCatalogues(store: string): Promise<Catalogues> {
  const names = await readdir(join(store, "catalogues")).catch(() => []);
  const damage: string[] = [];
  const states: CatalogueState[] = [];
  const closed = new Set<string>();
  for (const name of names.filter((each) => new RegExp(NAME_PATTERN).test(each)).sort()) {
    const folder = join(store, "catalogues", name);
    const state = await readState(folder, name, (says) => damage.push(`${folder}/${says}`));
    if (state === "closed") closed.add(name);
    else if (state !== undefined) states.push(state);
  }
  return { states, damage, closed };
}

/**
 * Remembers a catalogue that `judge` took. Readers see the former state or this one. Twice is safe. One writer at a time:
 * the caller holds a lock of the catalogue.
 */
export async function writeCatalogue(
  store: string,
  seen: Seen,
  { text, signature }: { text: Uint8Array; signature: Uint8Array | undefined },
): Promise<void> {
  const folder = await makeShared(store, "catalogues", seen.name);
  const document = `${seen.sha256}.json`;
  await writeShared(store, join(folder, document), text);
  if (signature !== undefined)
    await writeShared(store, join(folder, `${document}.minisig`), signature);
  const record = { schema: 1, ...seen };
  await writeShared(store, join(folder, SEEN_NAME), `${JSON.stringify(record, null, 2)}\n`);
  const kept = [SEEN_NAME, document, ...(signature === undefined ? [] : [`${document}.minisig`])];
  for (const file of await readdir(folder)) {
    if (!kept.includes(file)) await rm(join(folder, file), { force: true });
  }
}

async function readState(
  folder: string,
  name: string,
  tell: (says: string) => void,
): Promise<CatalogueState | "closed" | undefined> {
  let seen: Seen;
  try {
    seen = readSeen(await readFile(join(folder, SEEN_NAME), SEEN_BYTES_MAX), name);
  } catch (error) {
    const why = printable((error as Error).message);
    if (error instanceof UnreadableError && !isMissing(error)) {
      tell(`${SEEN_NAME} ${why}: nothing is taken of this catalogue until it can be read`);
      return "closed";
    }
    tell(`${SEEN_NAME} ${why}: what this catalogue was before is forgotten`);
    return undefined;
  }
  const file = `${seen.sha256}.json`;
  try {
    const text = await readFile(join(folder, file), DOCUMENT_BYTES_MAX);
    const document = readKnownDocument(text, seen.sha256);
    return { seen, good: { document, text, signature: await signatureOf(join(folder, file)) } };
  } catch (error) {
    if (!(error instanceof CatalogueRefused || error instanceof UnreadableError)) throw error;
    tell(`${file} ${error.message}: this catalogue has to be fetched again`);
    return { seen, good: undefined };
  }
}

function readSeen(bytes: Uint8Array, name: string): Seen {
  const value: unknown = JSON.parse(Buffer.from(bytes).toString());
  const [wrong] = violations(value);
  if (wrong !== undefined) throw new Error(`${wrong.path.join(".")} ${wrong.says.join("; ")}`);
  const { schema: _, ...seen } = value as Seen & { schema: 1 };
  if (seen.name !== name) throw new Error(`is of catalogue '${seen.name}'`);
  return seen;
}

function isMissing({ cause }: UnreadableError): boolean {
  return (cause as NodeJS.ErrnoException | undefined)?.code === "ENOENT";
}

async function signatureOf(document: string): Promise<Uint8Array | undefined> {
  return await readFile(`${document}.minisig`, SIGNATURE_BYTES_MAX).catch(() => undefined);
}

async function readFile(path: string, bytesMax: number): Promise<Uint8Array> {
  const { bytes, isTooLong } = await readRegularFile(path, bytesMax);
  if (isTooLong) throw new UnreadableError(`is longer than ${bytesMax} bytes`);
  // A copy: the buffer that was read into is as long as the file may be.
  return Uint8Array.from(bytes);
}

import { encodeManifest, MANIFEST_BYTES_MAX, type Manifest } from "#host/images/store/manifest.ts";
import { printable } from "#lib/printable.ts";
import { parseStrictJson, StrictJsonError } from "#lib/strict-json.ts";
import { compileSchema } from "#lib/validate.ts";
import {
  type CatalogueDocument,
  type CatalogueImage,
  type CatalogueVersion,
  catalogueSchema,
} from "./document-schema.ts";
import { CatalogueRefused, placeText } from "./refused.ts";

/** The longest document, in bytes. */
export const DOCUMENT_BYTES_MAX = 4 * 1024 * 1024;
const DEPTH_MAX = 16;
const EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

// A document from a stranger may hold a million mistakes; one is enough to refuse it.
const violations = compileSchema(catalogueSchema, "first");

/**
 * The document in these bytes: by its schema, no name for two images, no version twice in an image, real dates, addresses
 * without credentials, boot files where the boot kind needs them and nowhere else, and each `digest` that of the manifest
 * which a host makes of the entry. Takes below a second for the longest one. Says nothing of trust. Throws
 * `CatalogueRefused` with the first thing that is wrong and its place.
 */
export function readDocument(bytes: Uint8Array): CatalogueDocument {
  if (bytes.length > DOCUMENT_BYTES_MAX)
    throw new CatalogueRefused(
      `is ${bytes.length} bytes long; a catalogue has at most ${DOCUMENT_BYTES_MAX} (4 MiB)`,
    );
  const document = parse(bytes) as CatalogueDocument;
  const [wrong] = violations(document);
  if (wrong !== undefined) throw refused(wrong.path, wrong.says.join("; "));
  if (!isMoment(document.expires)) throw refused(["expires"], `'${document.expires}' is no moment`);
  checkNames(document.images);
  for (const [at, image] of document.images.entries()) checkImage(image, ["images", String(at)]);
  return document;
}

/**
 * The manifest that every host writes for this version, whoever asks: the image's digest is of its bytes, as
 * `encodeManifest` gives them. A recipe's build gives the same ones for the same image.
 */
export function manifestOf(image: string, entry: Omit<CatalogueVersion, "digest">): Manifest {
  const { version, architecture, boot, seed, login, memoryMiBMin, readiness, files } = entry;
  const { format, virtualMiB } = files.disk;
  const disk = contentOf(files.disk.unpacked ?? files.disk);
  return {
    ...{
      schema: 1,
      name: image,
      version,
      architecture,
      boot,
      seed,
      login,
      memoryMiBMin,
      readiness,
    },
    disk: { ...disk, format, virtualMiB },
    ...(files.kernel && { kernel: contentOf(files.kernel) }),
    ...(files.initrd && { initrd: contentOf(files.initrd) }),
    packages: entry.packages ?? {},
  };
}

/** The digest of the image that a version means. Throws `TypeError` where the entry makes no manifest. */
export function digestOf(image: string, entry: Omit<CatalogueVersion, "digest">): string {
  return encodeManifest(manifestOf(image, entry)).digest;
}

function contentOf({ bytes, sha256 }: { bytes: number; sha256: string }) {
  return { bytes, sha256 };
}

function parse(bytes: Uint8Array): unknown {
  try {
    return parseStrictJson(bytes, DEPTH_MAX);
  } catch (error) {
    if (error instanceof StrictJsonError)
      throw new CatalogueRefused(error.message, { cause: error });
    throw error;
  }
}

/** A name or an alias means one image. */
function checkNames(images: readonly CatalogueImage[]): void {
  const known = new Map<string, string>();
  for (const [at, { name, aliases = [] }] of images.entries()) {
    const image = ["images", String(at)];
    const places = [
      [...image, "name"],
      ...aliases.map((_, alias) => [...image, "aliases", String(alias)]),
    ];
    for (const [number, written] of [name, ...aliases].entries()) {
      const place = places[number] ?? image;
      const other = known.get(written);
      if (other !== undefined) throw refused(place, `'${written}' is the name at ${other} already`);
      known.set(written, placeText(place));
    }
  }
}

function checkImage(image: CatalogueImage, place: readonly string[]): void {
  const { deprecated } = image;
  if (deprecated !== undefined && !isMoment(`${deprecated.on}T00:00:00Z`))
    throw refused([...place, "deprecated", "on"], `'${deprecated.on}' is no date`);
  const seen = new Set<string>();
  for (const [at, entry] of image.versions.entries()) {
    const here = [...place, "versions", String(at)];
    if (seen.has(entry.version))
      throw refused([...here, "version"], `'${entry.version}' is there twice`);
    seen.add(entry.version);
    checkFiles(entry, [...here, "files"]);
    checkDigest(image.name, entry, [...here, "digest"]);
  }
}

/** Which files a version has, and what each may be. Throws `CatalogueRefused`. */
export function checkFiles(
  { boot, files }: Pick<CatalogueVersion, "boot" | "files">,
  place: readonly string[],
): void {
  const { disk, kernel, initrd } = files;
  for (const [name, file] of Object.entries({ kernel, initrd })) {
    if (boot.kind === "kernel" && file === undefined)
      throw refused([...place, name], "is missing; boot kind 'kernel' needs it");
    if (boot.kind !== "kernel" && file !== undefined)
      throw refused([...place, name], `is not for boot kind '${boot.kind}'`);
  }
  if (disk.compression === "none" && disk.unpacked !== undefined)
    throw refused([...place, "disk", "unpacked"], "is only for a compressed file");
  if (disk.compression !== "none" && disk.unpacked === undefined)
    throw refused([...place, "disk", "unpacked"], `is missing; the disk is ${disk.compression}`);
  for (const [name, file] of Object.entries({ disk, kernel, initrd })) {
    if (file === undefined) continue;
    checkContent(file.sha256, [...place, name, "sha256"]);
    checkAddress(file.url, [...place, name, "url"]);
  }
  if (disk.unpacked !== undefined)
    checkContent(disk.unpacked.sha256, [...place, "disk", "unpacked", "sha256"]);
}

/** A zero-length image once went live at a peer's: its checksum was right. */
function checkContent(sha256: string, place: readonly string[]): void {
  if (sha256 === EMPTY_SHA256) throw refused(place, "is the SHA-256 of an empty file");
}

/** Only the form: which hosts may be asked is up to whoever fetches. */
function checkAddress(written: string, place: readonly string[]): void {
  if (!written.startsWith("https://")) return;
  const address = URL.parse(written);
  if (address === null) throw refused(place, `'${printable(written, 80)}' is no address`);
  if (address.username !== "" || address.password !== "")
    throw refused(place, "has a user or a password in it");
}

function checkDigest(image: string, entry: CatalogueVersion, place: readonly string[]): void {
  const { text, digest } = encodeManifest(manifestOf(image, entry));
  const bytes = Buffer.byteLength(text);
  if (bytes > MANIFEST_BYTES_MAX)
    throw refused(
      place,
      `is of a manifest of ${bytes} bytes; it has at most ${MANIFEST_BYTES_MAX}`,
    );
  if (digest !== entry.digest)
    throw refused(place, `is ${entry.digest}, but the entry's manifest has ${digest}`);
}

/** By its form it is one; this tells whether the calendar has it. */
function isMoment(text: string): boolean {
  const ms = Date.parse(text);
  return !Number.isNaN(ms) && new Date(ms).toISOString() === text.replace("Z", ".000Z");
}

function refused(place: readonly string[], says: string): CatalogueRefused {
  const words = place.length === 0 ? says : `${placeText(place)}: ${says}`;
  return new CatalogueRefused(printable(words, 700));
}

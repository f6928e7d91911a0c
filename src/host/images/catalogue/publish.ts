import { join } from "node:path";
import { writeAtomically } from "#lib/atomic-file.ts";
import { readRegularFile, UnreadableError } from "#lib/read-regular-file.ts";
import { type AdminCatalogue, type AdminVersion, readAdminFile } from "./admin-file.ts";
import { changesBetween } from "./changes.ts";
import { checkFiles, DOCUMENT_BYTES_MAX, digestOf, readDocument } from "./document.ts";
import type { CatalogueDocument, CatalogueImage, CatalogueVersion } from "./document-schema.ts";
import { measureFile } from "./measure-file.ts";
import { CatalogueRefused } from "./refused.ts";

const DOCUMENT_NAME = "catalogue.json";

/** What became of a folder's catalogue. */
export type Publication = {
  /** The document's file, which is to be signed as `<path>.minisig`. */
  readonly path: string;
  readonly document: CatalogueDocument;
  /** False when nothing changed and the former document stays. */
  readonly isWritten: boolean;
  /** A line for each change: `new version debian-12:3`. */
  readonly changes: readonly string[];
};

export type PublishOptions = {
  /** Write a document with a new version and a new expiry even when nothing changed. */
  readonly renew: boolean;
  readonly nowMs: number;
  readonly onProgress: (line: string) => void;
  readonly signal: AbortSignal;
};

/**
 * Makes `catalogue.json` of a folder from its `catalogue.yaml` and the files that this names, reading each file whole, as a
 * stream. Version: the former document's and one more; expiry: now and the lifetime. Written in one step, after the
 * document was read as a host reads it. Throws `CatalogueRefused` when the file is wrong, when a file is missing or
 * outside of the folder, and when a version that the former document has would mean another image; nothing is written
 * then.
 */
export async function publishCatalogue(
  folder: string,
  options: PublishOptions,
): Promise<Publication> {
  const written = await readAdminFile(folder);
  const path = join(folder, DOCUMENT_NAME);
  const { former, isAsWritten } = await readFormer(path);
  if (former !== undefined && former.name !== written.name)
    throw new CatalogueRefused(
      `${path} is of catalogue '${former.name}', not '${written.name}': hosts refuse one that changes its name. For another catalogue take another folder`,
    );
  const images = await imagesOf(folder, written, options);
  const changes = [
    ...changesBetween(former?.images ?? [], images),
    // Hosts that have this version refuse it with any other content.
    ...(isAsWritten ? [] : [`${DOCUMENT_NAME} was not as 'testbed image sign' wrote it`]),
  ];
  if (former !== undefined && changes.length === 0 && !options.renew)
    return { path, document: former, isWritten: false, changes };
  const expiresMs = options.nowMs + written.lifetimeSeconds * 1000;
  const document: CatalogueDocument = {
    schema: 1,
    name: written.name,
    version: (former?.version ?? 0) + 1,
    expires: new Date(expiresMs).toISOString().replace(/\.\d+Z$/, "Z"),
    images: [...images],
  };
  const text = textOf(document);
  checkAsHostsDo(text);
  options.signal.throwIfAborted();
  await writeAtomically(path, text);
  return { path, document, isWritten: true, changes };
}

function textOf(document: CatalogueDocument): Buffer {
  return Buffer.from(`${JSON.stringify(document, null, 2)}\n`);
}

type Former = { readonly former: CatalogueDocument | undefined; readonly isAsWritten: boolean };

/** The document that was published last, and whether its file is what was written then; undefined when there is none. */
async function readFormer(path: string): Promise<Former> {
  try {
    const { bytes, isTooLong } = await readRegularFile(path, DOCUMENT_BYTES_MAX);
    if (isTooLong) throw new CatalogueRefused("is too long");
    const former = readDocument(bytes);
    return { former, isAsWritten: textOf(former).equals(bytes) };
  } catch (error) {
    if (error instanceof UnreadableError && isMissing(error.cause))
      return { former: undefined, isAsWritten: true };
    if (!(error instanceof UnreadableError || error instanceof CatalogueRefused)) throw error;
    throw new CatalogueRefused(
      `${path}: ${error.message}. Its version and digests are needed: restore the one that was published`,
      { cause: error },
    );
  }
}

function isMissing(cause: unknown): boolean {
  return (cause as NodeJS.ErrnoException | undefined)?.code === "ENOENT";
}

function checkAsHostsDo(text: Uint8Array): void {
  try {
    readDocument(text);
  } catch (error) {
    if (!(error instanceof CatalogueRefused)) throw error;
    throw new CatalogueRefused(`hosts would refuse this catalogue: ${error.message}`, {
      cause: error,
    });
  }
}

async function imagesOf(
  folder: string,
  { images }: AdminCatalogue,
  options: PublishOptions,
): Promise<readonly CatalogueImage[]> {
  const made: CatalogueImage[] = [];
  for (const image of images) {
    const versions: CatalogueVersion[] = [];
    for (const version of image.versions) {
      options.onProgress(`reading the files of ${image.name}:${version.version}`);
      versions.push(await versionOf(folder, image.name, version, options.signal));
    }
    const { name, summary, licence, homepage, labels, aliases, deprecated } = image;
    made.push({
      ...{ name, summary },
      ...(licence !== undefined && { licence }),
      ...(homepage !== undefined && { homepage }),
      ...(labels !== undefined && { labels: sorted(labels) }),
      ...(aliases !== undefined && { aliases }),
      ...(deprecated !== undefined && { deprecated }),
      versions,
    });
  }
  return made;
}

async function versionOf(
  folder: string,
  image: string,
  written: AdminVersion,
  signal: AbortSignal,
): Promise<CatalogueVersion> {
  const { version, architecture, boot, seed, login, memoryMiBMin, readiness } = written;
  const { kernel, initrd } = written.files;
  const bootFile = async ({ file }: { file: string }) => {
    const { packed } = await measureFile(folder, file, "none", signal);
    return { url: file, ...packed };
  };
  const entry: Omit<CatalogueVersion, "digest"> = {
    ...{ version, architecture, boot, seed, login, memoryMiBMin, readiness },
    files: {
      disk: await diskOf(folder, written.files.disk, signal),
      ...(kernel && { kernel: await bootFile(kernel) }),
      ...(initrd && { initrd: await bootFile(initrd) }),
    },
    ...(written.packages !== undefined && { packages: sorted(written.packages) }),
    ...(written.withdrawn !== undefined && { withdrawn: written.withdrawn }),
  };
  checkFiles(entry, [`${image}:${version}`, "files"]);
  return { ...entry, digest: digestOf(image, entry) };
}

async function diskOf(
  folder: string,
  written: AdminVersion["files"]["disk"],
  signal: AbortSignal,
): Promise<CatalogueVersion["files"]["disk"]> {
  const { file, compression = "none", format, virtualMiB } = written;
  const { packed, unpacked } = await measureFile(folder, file, compression, signal);
  const said = written.unpacked;
  if (said !== undefined && (said.bytes !== unpacked?.bytes || said.sha256 !== unpacked.sha256))
    throw new CatalogueRefused(
      `${file}: unpacks to other bytes than catalogue.yaml says under unpacked`,
    );
  return {
    ...{ url: file, compression, ...packed, format, virtualMiB },
    ...(unpacked && { unpacked }),
  };
}

/** In one order, so that the same content is the same document. */
function sorted(record: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)));
}

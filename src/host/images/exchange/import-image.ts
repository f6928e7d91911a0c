import { chmod, mkdir, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { findRecipe } from "#host/images/build/recipe.ts";
import type { Compression } from "#host/images/fetch/unpacked.ts";
import { fileBytesMax, limitsOf } from "#host/images/image-limits.ts";
import type { ImagePlaces } from "#host/images/image-places.ts";
import { inspectDisk, VIRTUAL_BYTES_MAX } from "#host/images/inspect/inspect-disk.ts";
import { digestIn, readEntry, withVersion, writeEntry } from "#host/images/store/entry.ts";
import { noteOrigin } from "#host/images/store/facts.ts";
import { lockName, makeBuildFolder, publish } from "#host/images/store/layout.ts";
import {
  BOOT_NAMES,
  DISK_NAMES,
  encodeManifest,
  filesOf,
  MANIFEST_BYTES_MAX,
  MANIFEST_NAME,
  type Manifest,
  parseManifest,
} from "#host/images/store/manifest.ts";
import { openSealed } from "#host/images/store/seal.ts";
import { translated } from "#host/images/translated.ts";
import { readRegularFile, UnreadableError } from "#lib/read-regular-file.ts";
import { copyHashed } from "./copy-hashed.ts";
import { ExchangeRefused } from "./refused.ts";
import { compressionOf, unpackHashed } from "./unpack-hashed.ts";

/** All that a disk file does not say of itself. */
export type ImportSettings = Omit<Manifest, "schema" | "disk" | "kernel" | "initrd">;

/** What becomes an image. */
export type ImportOrder =
  | {
      readonly kind: "files";
      /** One that ends in .gz, .xz or .zst is unpacked. */
      readonly disk: string;
      readonly format: "qcow2" | "raw";
      readonly kernel?: string;
      readonly initrd?: string;
      readonly settings: ImportSettings;
    }
  /** A folder with a manifest and files as the store has them, and as an export without compression writes them. */
  | { readonly kind: "folder"; readonly folder: string };

export type ExchangeProgress = {
  readonly onProgress: (line: string) => void;
  /** Called often: bytes copied so far, and of how many. */
  readonly onBytes: (done: number, all: number) => void;
  readonly signal: AbortSignal;
};

export type Imported = {
  readonly name: string;
  readonly version: string;
  readonly digest: string;
  /** False when the very image was there already. */
  readonly isNew: boolean;
};

const MIB = 2 ** 20;

/**
 * Makes an image of the store from files: copied while they are hashed, inspected as copies, and in the store in one step, with
 * the name meaning them from then on. Whatever ends it before leaves nothing but what the next one sweeps. Twice is safe. Throws
 * `ExchangeRefused`, host-disk-full.
 */
export async function importImage(
  catalogue: ImagePlaces,
  order: ImportOrder,
  progress: ExchangeProgress,
): Promise<Imported> {
  const { store } = catalogue;
  const { signal, onProgress } = progress;
  return await translated(signal, async () => {
    const source =
      order.kind === "files"
        ? fromFiles(order, fileBytesMax(limitsOf(catalogue)))
        : await fromFolder(order.folder);
    const { name, version } = source;
    if ((await findRecipe(catalogue.recipes, name)) !== undefined)
      throw new ExchangeRefused(`'${name}' is built from a recipe here; import it by another name`);
    using _ = await lockName(store, name, {
      onWait: () => onProgress(`waiting for another process that is at image ${name}`),
      signal,
    });
    const folder = await makeBuildFolder(store, name);
    try {
      const image = join(folder, "image");
      await mkdir(image, { mode: 0o755 });
      const { text, digest } = await source.copyTo(image, progress);
      const entry = await readEntry(store, name);
      const other = digestIn(entry, version);
      if (other !== undefined && other !== digest)
        throw new ExchangeRefused(
          `${name}:${version} is another image already (sha256:${other}), and a version never changes. Name another one with --version`,
        );
      await writeFile(join(image, MANIFEST_NAME), text);
      await publish(store, image, digest);
      await openSealed(store, digest, signal);
      await noteOrigin(store, digest, {
        kind: "import",
        by: source.path,
        at: new Date().toISOString(),
      });
      if (other === undefined)
        await writeEntry(store, name, withVersion(entry, version, { digest, isCurrent: true }));
      return { name, version, digest, isNew: other === undefined };
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
}

/** What an image is made of, and how it gets into a folder; `copyTo` returns the manifest's text and the digest. */
type Source = {
  readonly name: string;
  readonly version: string;
  readonly path: string;
  copyTo(folder: string, progress: ExchangeProgress): Promise<{ text: string; digest: string }>;
};

function fromFiles(order: Extract<ImportOrder, { kind: "files" }>, bytesMax: number): Source {
  const { disk, format, kernel, initrd, settings } = order;
  const diskName: string = DISK_NAMES[format];
  const sources = new Map<string, Original>([
    [diskName, { path: disk, compression: compressionOf(disk), bytesMax }],
  ]);
  if (kernel !== undefined) sources.set(BOOT_NAMES.kernel, { path: kernel });
  if (initrd !== undefined) sources.set(BOOT_NAMES.initrd, { path: initrd });
  return {
    ...{ name: settings.name, version: settings.version, path: disk },
    copyTo: async (folder, progress) => {
      const { [diskName]: content, ...boot } = await copyAll(sources, folder, progress);
      if (content === undefined) throw new TypeError("the disk was not copied");
      const about = { path: join(folder, diskName), format, virtualBytesMax: VIRTUAL_BYTES_MAX };
      const virtualBytes = await inspect(about, disk, progress.signal);
      const virtualMiB = Math.ceil(virtualBytes / MIB);
      return encodeManifest({
        schema: 1,
        ...settings,
        disk: { ...content, format, virtualMiB },
        ...boot,
      });
    },
  };
}

async function fromFolder(path: string): Promise<Source> {
  const { text, digest, manifest } = await readFolder(path);
  const files = filesOf(manifest);
  const sources = new Map(files.map(({ name }) => [name, { path: join(path, name) }]));
  const { format, virtualMiB } = manifest.disk;
  const diskName = DISK_NAMES[format];
  return {
    ...{ name: manifest.name, version: manifest.version, path },
    copyTo: async (folder, progress) => {
      const copied = await copyAll(sources, folder, progress);
      for (const { name, sha256 } of files) {
        const found = copied[name]?.sha256;
        if (found !== sha256)
          throw new ExchangeRefused(`${join(path, name)} has SHA-256 ${found}, not ${sha256}`);
      }
      const about = { path: join(folder, diskName), format, virtualBytesMax: virtualMiB * MIB };
      await inspect(about, join(path, diskName), progress.signal);
      return { text, digest };
    },
  };
}

/** The virtual size of a copied disk. Throws `ExchangeRefused` with what `source` is. */
async function inspect(
  about: Parameters<typeof inspectDisk>[0],
  source: string,
  signal: AbortSignal,
): Promise<number> {
  // Whatever the umask says: the program that looks at it is nobody's.
  await chmod(about.path, 0o444);
  const inspected = await inspectDisk(about, signal);
  if ("refused" in inspected) throw new ExchangeRefused(`${source} ${inspected.refused}`);
  return inspected.virtualBytes;
}

async function readFolder(folder: string) {
  const path = join(folder, MANIFEST_NAME);
  try {
    const { bytes, isTooLong } = await readRegularFile(path, MANIFEST_BYTES_MAX);
    if (isTooLong) throw new Error("is too long");
    const text = bytes.toString();
    return { text, ...parseManifest(text) };
  } catch (error) {
    const says = (error as Error).message;
    const words = error instanceof UnreadableError ? says : `is no manifest: ${says}`;
    throw new ExchangeRefused(`${path} ${words}`, { cause: error });
  }
}

/** A file to copy, or to unpack, and then to how many bytes at most. */
type Original = {
  readonly path: string;
  readonly compression?: Compression;
  readonly bytesMax?: number;
};

/** Copies files into a folder, by the names that they get there. */
async function copyAll(
  originals: ReadonlyMap<string, Original>,
  folder: string,
  { onProgress, onBytes, signal }: ExchangeProgress,
): Promise<Record<string, { readonly bytes: number; readonly sha256: string }>> {
  let all = 0;
  for (const { path } of originals.values())
    all += (await stat(path).catch(() => undefined))?.size ?? 0;
  let done = 0;
  const count = (bytes: number) => {
    done += bytes;
    onBytes(done, all);
  };
  const copied: Record<string, { bytes: number; sha256: string }> = {};
  for (const [name, { path, compression, bytesMax = 0 }] of originals) {
    const target = join(folder, name);
    if (compression === undefined || compression === "none") {
      copied[name] = await copyHashed(path, target, { onBytes: count, signal });
      continue;
    }
    onProgress(`unpacking ${path}`);
    const packed = { path, compression };
    copied[name] = await unpackHashed(packed, target, { bytesMax, onBytes: count, signal });
  }
  return copied;
}

import { existsSync } from "node:fs";
import { chmod, mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { manifestOf } from "#host/images/catalogue/document.ts";
import type { CatalogueVersion } from "#host/images/catalogue/document-schema.ts";
import { download } from "#host/images/fetch/download.ts";
import { unpack } from "#host/images/fetch/unpack.ts";
import { fileBytesMax, type ImageLimits, limitsOf } from "#host/images/image-limits.ts";
import { inspectDisk } from "#host/images/inspect/inspect-disk.ts";
import { noteOrigin } from "#host/images/store/facts.ts";
import { imageFolder, makeBuildFolder, publish, sweepBuilds } from "#host/images/store/layout.ts";
import {
  BOOT_NAMES,
  DISK_NAMES,
  encodeManifest,
  MANIFEST_NAME,
} from "#host/images/store/manifest.ts";
import { openSealed } from "#host/images/store/seal.ts";
import { makeShared } from "#host/images/store/shared.ts";
import { clearDamaged, openWhole } from "#host/images/whole-image.ts";
import type { Work } from "#host/images/work.ts";
import type { Image } from "#host/runner/ports.ts";
import { Fault } from "#job/fault.ts";
import { printable } from "#lib/printable.ts";
import type { Offer } from "./offers.ts";
import { type FollowedSource, fileOf } from "./source.ts";

const MIB = 2 ** 20;
const BRING_TRIES = 3;

export type ObtainProgress = {
  readonly onProgress: (line: string) => void;
  /** Called often: bytes that have come so far, and of how many. */
  readonly onBytes: (done: number, all: number) => void;
};

type Part = {
  readonly name: string;
  readonly url: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly compression: CatalogueVersion["files"]["disk"]["compression"];
  /** Of what is in it. */
  readonly content: { readonly bytes: number; readonly sha256: string };
};

/**
 * Brings a version of an image into the store: fetched, unpacked, inspected, and there in one step; one that is there whole is
 * returned as it is. No name means it yet. The caller holds the lock of the image's name. Whatever ends it leaves downloads that the
 * next one goes on with, and a folder that is swept. Throws image-refused, image-fetch-failed, host-disk-full, host-tool-missing.
 */
export async function obtain(
  work: Work,
  { source, catalogue, image }: Offer,
  version: CatalogueVersion,
): Promise<Image> {
  const { places, onProgress, onBytes, signal } = work;
  const { store } = places;
  const { digest } = version;
  const stored = await openWhole(work, digest);
  if (stored !== undefined) return stored;
  if (existsSync(imageFolder(store, digest))) await clearDamaged(work, digest, onProgress);
  await sweepBuilds(store, image.name);
  const parts = partsOf(version);
  checkLimits(`${image.name}:${version.version}`, version, parts, limitsOf(places));

  await makeShared(store, "fetching");
  const allBytes = parts.reduce((sum, { bytes }) => sum + bytes, 0);
  const folder = await makeBuildFolder(store, image.name);
  try {
    const built = join(folder, "image");
    await mkdir(built, { mode: 0o755 });
    let doneBytes = 0;
    for (const part of parts) {
      onProgress(`fetching ${part.name}`);
      const before = doneBytes;
      const onPart = (bytes: number) => onBytes(before + bytes, allBytes);
      await bring({ ...work, onBytes: onPart }, source, part, join(built, part.name));
      doneBytes += part.bytes;
    }
    onProgress("inspecting");
    await inspect(version, built, signal);
    const manifest = encodeManifest(manifestOf(image.name, version));
    await writeFile(join(built, MANIFEST_NAME), manifest.text);
    // Before it is there: no name means an image that came so until it was tried out, see tidy-names.ts.
    await noteOrigin(store, digest, {
      kind: "catalogue",
      by: `${catalogue} (${source.address})`,
      at: new Date().toISOString(),
    });
    await publish(store, built, digest);
    return await openSealed(store, digest, work.signal);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function partsOf({ files }: CatalogueVersion): readonly Part[] {
  const { disk, kernel, initrd } = files;
  const plain = (name: string, file: typeof kernel): readonly Part[] =>
    file === undefined ? [] : [{ name, ...file, compression: "none", content: file }];
  return [
    { ...disk, name: DISK_NAMES[disk.format], content: disk.unpacked ?? disk },
    ...plain(BOOT_NAMES.kernel, kernel),
    ...plain(BOOT_NAMES.initrd, initrd),
  ];
}

/** Before a byte is asked for. */
function checkLimits(
  what: string,
  { files }: CatalogueVersion,
  parts: readonly Part[],
  limits: ImageLimits,
): void {
  const says = (why: string) =>
    new Fault("image-refused", `${what} ${why}; see limits in the file of images`);
  for (const { name, bytes, content } of parts) {
    if (bytes > limits.downloadMiB * MIB)
      throw says(`has a ${name} of ${bytes} bytes, more than ${limits.downloadMiB} MiB`);
    if (content.bytes > fileBytesMax(limits))
      throw says(`has a ${name} that unpacks to ${content.bytes} bytes`);
  }
  if (files.disk.virtualMiB > limits.diskMiB)
    throw says(`has a disk of ${files.disk.virtualMiB} MiB, more than ${limits.diskMiB} MiB`);
}

/** Fetches a file and puts it in its place. */
async function bring(
  { places, onProgress, onBytes, signal }: Work,
  source: FollowedSource,
  part: Part,
  to: string,
): Promise<void> {
  const { bytes, sha256 } = part;
  const order = {
    source: { ...(await fileOf(source, part.url)), bytes, sha256 },
    folder: join(places.store, "fetching"),
    rules: source.rules,
    onProgress: ({ doneBytes }: { doneBytes: number }) => onBytes(doneBytes, bytes),
    onWait: () => onProgress(`waiting for another process that fetches ${part.name}`),
  };
  for (let tries = 1; ; tries += 1) {
    const fetched = await download(order, signal);
    try {
      return await place(part, fetched, to, signal);
    } catch (error) {
      signal.throwIfAborted();
      // It unpacks to something else than was said, and always will.
      const isRefused = Fault.from(error).code === "image-refused";
      if (isRefused) await rm(fetched, { force: true });
      // Else another image may have the very file, and whoever brought that one took it away meanwhile.
      if (isRefused || tries === BRING_TRIES || existsSync(fetched)) throw error;
    }
  }
}

/** What was fetched goes to its place in the image, readable by everyone, and is in the folder of downloads no more. */
async function place(part: Part, fetched: string, to: string, signal: AbortSignal): Promise<void> {
  const { compression, content } = part;
  if (compression === "none") await rename(fetched, to);
  else {
    await unpack({ path: fetched, compression, ...content, to }, signal);
    await rm(fetched, { force: true });
  }
  await chmod(to, 0o444);
}

/** Before any program opens it for a machine. */
async function inspect(
  { version, files }: CatalogueVersion,
  folder: string,
  signal: AbortSignal,
): Promise<void> {
  const { format, virtualMiB } = files.disk;
  const virtualBytes = virtualMiB * MIB;
  const path = join(folder, DISK_NAMES[format]);
  const found = await inspectDisk({ path, format, virtualBytesMax: virtualBytes }, signal);
  const why =
    "refused" in found
      ? found.refused
      : Math.ceil(found.virtualBytes / MIB) === virtualMiB
        ? undefined
        : `has a virtual size of ${found.virtualBytes} bytes, not the ${virtualMiB} MiB that were said`;
  if (why !== undefined)
    throw new Fault("image-refused", `the disk of version ${printable(version)} ${why}`);
}

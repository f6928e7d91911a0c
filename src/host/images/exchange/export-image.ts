import { createHash, randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { basename, join, relative, resolve } from "node:path";
import { holdImage } from "#host/images/store/holds.ts";
import { imageFolder } from "#host/images/store/layout.ts";
import {
  BOOT_NAMES,
  DISK_NAMES,
  encodeManifest,
  filesOf,
  MANIFEST_NAME,
  type Manifest,
  NAME_PATTERN,
  readManifest,
} from "#host/images/store/manifest.ts";
import { translated } from "#host/images/translated.ts";
import { Fault } from "#job/fault.ts";
import { syncFolder } from "#lib/atomic-file.ts";
import { makeFolders } from "#lib/make-folders.ts";
import { addToCatalogue } from "./catalogue-entry.ts";
import type { ExchangeProgress } from "./import-image.ts";
import { PACKINGS, type Packing, packFile } from "./pack-file.ts";
import { ExchangeRefused } from "./refused.ts";

/** Where an image is exported to. */
export type ExportOrder = {
  readonly store: string;
  readonly digest: string;
  /** The catalogue's folder; made when missing. */
  readonly to: string;
  readonly packing: Packing;
  /** What it is called there, where that is not what it is called here. Its manifest says so then, and its digest is another. */
  readonly as?: { readonly name?: string; readonly version?: string };
};

/** What was written, and where. */
export type Exported = {
  readonly name: string;
  readonly version: string;
  readonly digest: string;
  readonly folder: string;
};

/**
 * Copies an image to `<to>/<name>/<version>/`, its disk packed as asked, and writes it down in `<to>/catalogue.yaml`. The files are
 * hashed as they are read, and the folder is there in one step. Twice is safe; a version that is there as another image is
 * refused. Throws `ExchangeRefused`, image-damaged, image-unknown, host-disk-full.
 */
export async function exportImage(
  order: ExportOrder,
  progress: ExchangeProgress,
): Promise<Exported> {
  const { store, digest, packing, as = {} } = order;
  const { signal } = progress;
  return await translated(signal, async () => {
    await using hold = await holdImage(store, digest, "copy", signal);
    if (hold === undefined)
      throw new Fault("image-unknown", `image sha256:${digest} is not in the store, or damaged`);
    const to = resolve(order.to);
    const manifest = { ...(await readManifest(imageFolder(store, digest), digest)), ...as };
    const written = await manifestOf(order, manifest);
    const parent = join(to, manifest.name);
    const folder = join(parent, manifest.version);
    await refuseOther(folder, written.digest, manifest);
    await makeFolders(parent, 0o755);
    await sweep(parent, manifest.version);
    const half = join(parent, `.${manifest.version}.${randomBytes(4).toString("hex")}.part`);
    try {
      await mkdir(half, { mode: 0o755 });
      await copyFiles(order, manifest, half, progress);
      await writeFile(join(half, MANIFEST_NAME), written.text);
      await rm(folder, { recursive: true, force: true });
      await rename(half, folder);
      await syncFolder(parent);
    } finally {
      await rm(half, { recursive: true, force: true });
    }
    const path = (name: string) => join(relative(to, folder), name);
    const { format } = manifest.disk;
    const { kernel, initrd } = manifest;
    await addToCatalogue(
      join(to, "catalogue.yaml"),
      manifest,
      {
        disk: path(`${DISK_NAMES[format]}${PACKINGS[packing]}`),
        packing,
        ...(kernel && { kernel: path(BOOT_NAMES.kernel) }),
        ...(initrd && { initrd: path(BOOT_NAMES.initrd) }),
      },
      nameOf(to),
    );
    const { name, version } = manifest;
    return { name, version, digest: written.digest, folder };
  });
}

/** The very bytes of the store, unless the image is called something else. */
async function manifestOf({ store, digest, as }: ExportOrder, manifest: Manifest) {
  if (as !== undefined) return encodeManifest(manifest);
  return { text: await readFile(join(imageFolder(store, digest), MANIFEST_NAME)), digest };
}

/** A folder's name, when it may be a catalogue's. */
function nameOf(folder: string): string {
  const name = basename(folder);
  return new RegExp(NAME_PATTERN).test(name) ? name : "images";
}

async function refuseOther(folder: string, digest: string, manifest: Manifest): Promise<void> {
  const text = await readFile(join(folder, MANIFEST_NAME)).catch(() => undefined);
  if (text === undefined) return;
  const there = createHash("sha256").update(text).digest("hex");
  if (there !== digest)
    throw new ExchangeRefused(
      `${folder} has ${manifest.name}:${manifest.version} as another image (sha256:${there}), and a version never changes`,
    );
}

/** What a killed export of this version left. */
async function sweep(parent: string, version: string): Promise<void> {
  for (const name of await readdir(parent))
    if (name.startsWith(`.${version}.`) && name.endsWith(".part"))
      await rm(join(parent, name), { recursive: true, force: true });
}

async function copyFiles(
  { store, digest, packing }: ExportOrder,
  manifest: Manifest,
  half: string,
  { onBytes, signal }: ExchangeProgress,
): Promise<void> {
  const files = filesOf(manifest);
  const all = files.reduce((sum, { bytes }) => sum + bytes, 0);
  let done = 0;
  const count = (bytes: number) => {
    done += bytes;
    onBytes(done, all);
  };
  const folder = imageFolder(store, digest);
  for (const { name, sha256 } of files) {
    const isDisk = name === DISK_NAMES[manifest.disk.format];
    const found = await packFile(join(folder, name), join(half, name), isDisk ? packing : "none", {
      onBytes: count,
      signal,
    });
    if (found.sha256 !== sha256)
      throw new Fault(
        "image-damaged",
        `${join(folder, name)} has SHA-256 ${found.sha256}, not ${sha256}; 'testbed image verify' says more`,
      );
  }
}

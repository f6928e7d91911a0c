import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { lstat, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Static } from "typebox";
import type { Boot, Image } from "#host/runner/ports.ts";
import { Fault } from "#job/fault.ts";
import { compileSchema } from "#lib/validate.ts";

/**
 * What a stored image says of itself: `manifest.json` beside its files. The image's digest is the SHA-256 of exactly this
 * file, which carries the SHA-256 of each of the others, so one digest covers every byte and every setting of a boot.
 */

/** Names of images: they become folder names, so nothing in them can leave a folder or look like an option. */
export const NAME_PATTERN = "^[a-z0-9][a-z0-9-]{0,62}$";
export const VERSION_PATTERN = "^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$";
export const DIGEST_PATTERN = "^[0-9a-f]{64}$";

// Schemas are plain data: TypeBox reads their types just as well, and its builders cost 90 ms at every start.
const seconds = { type: "integer", minimum: 1, maximum: 3600 } as const;

/** The parts that a recipe and a manifest share. */
export const SETTINGS = {
  architecture: { enum: ["x86_64", "aarch64"] },
  boot: {
    anyOf: [
      {
        type: "object",
        additionalProperties: false,
        required: ["kind", "commandLine"],
        properties: { kind: { const: "kernel" }, commandLine: { type: "string", maxLength: 1500 } },
      },
      {
        type: "object",
        additionalProperties: false,
        required: ["kind"],
        properties: { kind: { const: "uefi" } },
      },
    ],
  },
  seed: { enum: ["nocloud", "cloud-init"] },
  login: { type: "string", pattern: "^[a-z_][a-z0-9_-]{0,31}$" },
  memoryMiBMin: { type: "integer", minimum: 64, maximum: 1024 * 1024 },
  readiness: {
    type: "object",
    additionalProperties: false,
    required: ["consoleSeconds", "sshSeconds", "settledSeconds"],
    properties: { consoleSeconds: seconds, sshSeconds: seconds, settledSeconds: seconds },
  },
} as const;

/** What a disk's file is called, by its format. */
export const DISK_NAMES = { qcow2: "disk.qcow2", raw: "disk.raw" } as const;

/** The files that QEMU boots from beside a disk, of an image whose boot kind is `kernel`. */
export const BOOT_NAMES = { kernel: "kernel", initrd: "initrd" } as const;

export const MANIFEST_NAME = "manifest.json";
export const MANIFEST_BYTES_MAX = 256 * 1024;

const fileParts = {
  bytes: { type: "integer", minimum: 1 },
  sha256: { type: "string", pattern: DIGEST_PATTERN },
} as const;

const file = {
  type: "object",
  additionalProperties: false,
  required: ["bytes", "sha256"],
  properties: fileParts,
} as const;

const SCHEMA = {
  type: "object",
  additionalProperties: false,
  required: [
    "schema",
    "name",
    "version",
    "architecture",
    "boot",
    "seed",
    "login",
    "memoryMiBMin",
    "readiness",
    "disk",
    "packages",
  ],
  properties: {
    schema: { const: 1 },
    name: { type: "string", pattern: NAME_PATTERN },
    version: { type: "string", pattern: VERSION_PATTERN },
    ...SETTINGS,
    disk: {
      type: "object",
      additionalProperties: false,
      required: ["bytes", "sha256", "format", "virtualMiB"],
      properties: {
        ...fileParts,
        format: { enum: ["qcow2", "raw"] },
        virtualMiB: { type: "integer", minimum: 1, maximum: 1024 * 1024 },
      },
    },
    /** Both, or neither: see `boot`. */
    kernel: file,
    initrd: file,
    packages: { type: "object", additionalProperties: { type: "string" } },
  },
} as const;

export type Manifest = Static<typeof SCHEMA>;

const violations = compileSchema(SCHEMA);

/** A file of an image as its manifest says. */
export type ImageFile = { readonly name: string; readonly bytes: number; readonly sha256: string };

/**
 * The bytes of a manifest as they are stored, and the digest that they give: the same for the same image, in whatever order
 * a recipe or a catalogue lists its keys and packages.
 */
export function encodeManifest(manifest: Manifest): { text: string; digest: string } {
  const wrong = wrongWith(manifest);
  if (wrong !== undefined) throw new TypeError(`manifest: ${wrong}`);
  const text = `${JSON.stringify(inOneOrder(manifest), null, 2)}\n`;
  return { text, digest: sha256(text) };
}

/** Keys as the schema has them, packages by name. */
function inOneOrder(manifest: Manifest): Manifest {
  const { schema, name, version, architecture, seed, login, memoryMiBMin } = manifest;
  const { boot, disk, kernel, initrd } = manifest;
  const { consoleSeconds, sshSeconds, settledSeconds } = manifest.readiness;
  const byName = Object.entries(manifest.packages).sort(([a], [b]) => (a < b ? -1 : 1));
  const content = ({ bytes, sha256 }: { bytes: number; sha256: string }) => ({ bytes, sha256 });
  return {
    ...{ schema, name, version, architecture },
    boot:
      boot.kind === "uefi"
        ? { kind: boot.kind }
        : { kind: boot.kind, commandLine: boot.commandLine },
    ...{ seed, login, memoryMiBMin },
    readiness: { consoleSeconds, sshSeconds, settledSeconds },
    disk: { ...content(disk), format: disk.format, virtualMiB: disk.virtualMiB },
    ...(kernel && { kernel: content(kernel) }),
    ...(initrd && { initrd: content(initrd) }),
    packages: Object.fromEntries(byName),
  };
}

/** All files of an image but the manifest itself. */
export function filesOf(manifest: Manifest): readonly ImageFile[] {
  const { disk, kernel, initrd } = manifest;
  return [
    { name: DISK_NAMES[disk.format], bytes: disk.bytes, sha256: disk.sha256 },
    ...(kernel === undefined ? [] : [{ name: BOOT_NAMES.kernel, ...kernel }]),
    ...(initrd === undefined ? [] : [{ name: BOOT_NAMES.initrd, ...initrd }]),
  ];
}

/**
 * Opens a stored image: manifest as its digest says, files there and of the sizes that it says. Takes about a
 * millisecond; `verifyImage` reads every byte. Throws image-damaged.
 */
export async function openImage(folder: string, digest: string): Promise<Image> {
  const manifest = await readManifest(folder, digest);
  for (const { name, bytes } of filesOf(manifest)) {
    const found = await lstat(join(folder, name)).catch((error: unknown) => {
      throw damaged(folder, `${name} cannot be read`, error);
    });
    if (!found.isFile() || found.size !== bytes)
      throw damaged(folder, `${name} has ${found.size} bytes, not ${bytes}`);
  }
  const { name, version, architecture, seed, login, memoryMiBMin, readiness } = manifest;
  const { format, virtualMiB } = manifest.disk;
  return Object.freeze({
    ...{ name, version, digest, architecture, seed, login, memoryMiBMin, readiness },
    disk: { path: join(folder, DISK_NAMES[format]), format, virtualMiB },
    boot: bootOf(folder, manifest),
  });
}

function bootOf(folder: string, { boot }: Manifest): Boot {
  if (boot.kind === "uefi") return boot;
  return {
    ...boot,
    kernel: join(folder, BOOT_NAMES.kernel),
    initrd: join(folder, BOOT_NAMES.initrd),
  };
}

/** Reads every byte of a stored image and compares it with its digest. Throws image-damaged. */
export async function verifyImage(
  folder: string,
  digest: string,
  signal: AbortSignal,
): Promise<void> {
  for (const { name, sha256 } of filesOf(await readManifest(folder, digest))) {
    const found = await sha256File(join(folder, name), signal);
    if (found !== sha256) throw damaged(folder, `${name} has SHA-256 ${found}, not ${sha256}`);
  }
}

/** Name and version of a stored image, from its manifest. Throws image-damaged. */
export async function readManifest(folder: string, digest: string): Promise<Manifest> {
  const path = join(folder, MANIFEST_NAME);
  try {
    const { size } = await lstat(path);
    if (size > MANIFEST_BYTES_MAX) throw new Error(`${size} bytes long`);
    const text = await readFile(path, "utf8");
    if (sha256(text) !== digest) throw new Error("its SHA-256 is not the folder's name");
    return parseManifest(text).manifest;
  } catch (error) {
    throw damaged(folder, `${MANIFEST_NAME}: ${(error as Error).message}`, error);
  }
}

/** The manifest in the text of a file, and the digest of the image that it is of. Throws an `Error` that says what is wrong. */
export function parseManifest(text: string): { manifest: Manifest; digest: string } {
  const value: unknown = JSON.parse(text);
  const wrong = wrongWith(value);
  if (wrong !== undefined) throw new Error(wrong);
  return { manifest: value as Manifest, digest: sha256(text) };
}

function wrongWith(value: unknown): string | undefined {
  const [violation] = violations(value);
  if (violation !== undefined) return JSON.stringify(violation);
  const { boot, kernel, initrd } = value as Manifest;
  const hasBootFiles = kernel !== undefined && initrd !== undefined;
  const isBare = kernel === undefined && initrd === undefined;
  if (boot.kind === "kernel" ? hasBootFiles : isBare) return undefined;
  return `kernel and initrd are of boot kind 'kernel', and of no other; this is '${boot.kind}'`;
}

/** SHA-256 of a file's content, streamed; `onBytes` is told of each piece. Aborts with the signal's reason. */
export async function sha256File(
  path: string,
  signal: AbortSignal,
  onBytes: (bytes: number) => void = () => undefined,
): Promise<string> {
  const hash = createHash("sha256");
  const pieces = createReadStream(path, { highWaterMark: 1024 * 1024 });
  for await (const piece of pieces as AsyncIterable<Buffer>) {
    signal.throwIfAborted();
    hash.update(piece);
    onBytes(piece.length);
  }
  return hash.digest("hex");
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function damaged(folder: string, what: string, cause?: unknown): Fault {
  return new Fault("image-damaged", `${folder}: ${what}. Run: testbed image verify --repair`, {
    cause,
  });
}

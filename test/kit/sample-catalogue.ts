import { createHash } from "node:crypto";
import { digestOf } from "#host/images/catalogue/document.ts";
import type {
  CatalogueDocument,
  CatalogueImage,
  CatalogueVersion,
} from "#host/images/catalogue/document-schema.ts";

/** Types of plain data that a test may change, or spoil. */
export type Loose = { [key: string]: Loose } & Loose[];

export const EXPIRES = "2030-06-01T12:00:00Z";

export function sha256(content: string): string {
  return createHash("sha256").update(content).digest("hex");
}

/** A version of an image; its content, and so its digest, follow from `seed`. */
export function sampleVersion(image: string, version: string, seed = ""): CatalogueVersion {
  const part = (name: string) => sha256(`${image} ${version} ${name} ${seed}`);
  const entry = {
    version,
    architecture: "x86_64",
    boot: { kind: "kernel", commandLine: "console=ttyS0" },
    seed: "nocloud",
    login: "root",
    memoryMiBMin: 128,
    readiness: { consoleSeconds: 10, sshSeconds: 20, settledSeconds: 30 },
    files: {
      disk: {
        url: `${image}/${version}/disk.qcow2.zst`,
        compression: "zstd",
        bytes: 1000,
        sha256: part("packed"),
        format: "qcow2",
        virtualMiB: 512,
        unpacked: { bytes: 4000, sha256: part("disk") },
      },
      kernel: { url: `${image}/${version}/kernel`, bytes: 50, sha256: part("kernel") },
      initrd: { url: `${image}/${version}/initrd`, bytes: 60, sha256: part("initrd") },
    },
    packages: { bash: "5.2-1", "0ad": "1" },
  } satisfies Omit<CatalogueVersion, "digest">;
  return { ...entry, digest: digestOf(image, entry) };
}

/** A UEFI image with a plain disk at an https address. */
export function sampleUefiVersion(image: string, version: string): CatalogueVersion {
  const { files: _, digest: __, packages: ___, ...more } = sampleVersion(image, version);
  const entry = {
    ...more,
    boot: { kind: "uefi" },
    files: {
      disk: {
        url: "https://images.test/disk.raw?part=1",
        compression: "none",
        bytes: 4096,
        sha256: sha256(`${image} ${version}`),
        format: "raw",
        virtualMiB: 512,
      },
    },
    withdrawn: "its kernel panics",
  } satisfies Omit<CatalogueVersion, "digest">;
  return { ...entry, digest: digestOf(image, entry) };
}

export function sampleImage(name: string, ...versions: CatalogueVersion[]): CatalogueImage {
  return { name, summary: `The image ${name}`, versions };
}

/** A right document, of two images and three versions. */
export function sampleDocument(change: Partial<CatalogueDocument> = {}): CatalogueDocument {
  return {
    schema: 1,
    name: "house",
    version: 7,
    expires: EXPIRES,
    images: [
      {
        ...sampleImage("toy", sampleVersion("toy", "2"), sampleVersion("toy", "1")),
        licence: "MIT",
        homepage: "https://toys.test/",
        labels: { tier: "small" },
        aliases: ["toy-latest"],
        deprecated: { on: "2028-02-29", use: "other" },
      },
      sampleImage("other", sampleUefiVersion("other", "1.0_rc-1")),
    ],
    ...change,
  };
}

export function bytesOf(document: unknown): Buffer {
  return Buffer.from(JSON.stringify(document));
}

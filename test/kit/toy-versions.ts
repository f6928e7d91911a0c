import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { digestOf } from "#host/images/catalogue/document.ts";
import type { CatalogueImage, CatalogueVersion } from "#host/images/catalogue/document-schema.ts";
import { contentOf } from "./admin-catalogue.ts";
import { call } from "./call.ts";
import { sampleImage } from "./sample-catalogue.ts";

type Disk = CatalogueVersion["files"]["disk"];

export type ToyOptions = {
  readonly compression?: Disk["compression"];
  /** Makes the disk's file; by default qcow2 of 1 MiB with the image's name in it. */
  readonly make?: (path: string, folder: string) => Promise<unknown>;
  /** What is said of the disk otherwise than it is. */
  readonly disk?: Partial<Disk>;
  /** With a kernel and an initial RAM disk. */
  readonly isKernel?: boolean;
  readonly change?: Partial<CatalogueVersion>;
};

const PACKERS = {
  gzip: [".gz", ["gzip"]],
  xz: [".xz", ["xz", "-0"]],
  zstd: [".zst", ["zstd", "-q", "--rm"]],
} as const;

/** Puts the files of a version in a catalogue's folder, and returns what the catalogue says of it: the truth, but for the options. */
export async function toyVersion(
  site: string,
  reference: string,
  options: ToyOptions = {},
): Promise<CatalogueVersion> {
  const [image = "", version = ""] = reference.split(":");
  const { compression = "none", isKernel = false, change = {} } = options;
  const url = `${image}/${version}/disk`;
  const path = join(site, url);
  await mkdir(dirname(path), { recursive: true });
  await (options.make ?? ((to: string) => toyDisk(to, reference)))(path, dirname(path));
  const plain = contentOf(await readFile(path));
  if (compression !== "none") {
    const [suffix, [program, ...args]] = PACKERS[compression];
    await call(program, [...args, path]);
    await rename(`${path}${suffix}`, path);
  }
  const boot = async (name: string) => {
    const text = `the ${name} of ${reference}`;
    await writeFile(join(site, image, version, name), text);
    return { url: `${image}/${version}/${name}`, ...contentOf(text) };
  };
  const entry = {
    ...{ version, architecture: "x86_64", seed: "nocloud", login: "root", memoryMiBMin: 128 },
    boot: isKernel ? { kind: "kernel", commandLine: "console=ttyS0" } : { kind: "uefi" },
    readiness: { consoleSeconds: 10, sshSeconds: 20, settledSeconds: 30 },
    files: {
      disk: {
        ...{ url, compression, format: "qcow2", virtualMiB: 1 },
        ...contentOf(await readFile(path)),
        ...(compression === "none" ? {} : { unpacked: plain }),
        ...options.disk,
      },
      ...(isKernel ? { kernel: await boot("kernel"), initrd: await boot("initrd") } : {}),
    },
    ...change,
  } as Omit<CatalogueVersion, "digest">;
  return { ...entry, digest: digestOf(image, entry) };
}

/** An image of the catalogue with versions whose files are in its folder, the newest first. */
export async function toyImage(
  site: string,
  name: string,
  versions: readonly string[],
  options: ToyOptions = {},
): Promise<CatalogueImage> {
  const made: CatalogueVersion[] = [];
  for (const version of versions) made.push(await toyVersion(site, `${name}:${version}`, options));
  return sampleImage(name, ...made);
}

/** An image as its catalogue takes versions back. */
export function withdrawing(image: CatalogueImage, ...versions: readonly string[]): CatalogueImage {
  return {
    ...image,
    versions: image.versions.map((one) =>
      versions.includes(one.version) ? { ...one, withdrawn: "it eats data" } : one,
    ),
  };
}

async function toyDisk(path: string, text: string): Promise<void> {
  await writeFile(`${path}.raw`, text.padEnd(2 ** 20, "\0"));
  await call("qemu-img", ["convert", "-q", "-f", "raw", "-O", "qcow2", `${path}.raw`, path]);
  await rm(`${path}.raw`);
}

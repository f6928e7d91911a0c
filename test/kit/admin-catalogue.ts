import { createHash } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { CatalogueDocument } from "#host/images/catalogue/document-schema.ts";
import { publishCatalogue } from "#host/images/catalogue/publish.ts";
import { scratchFolder } from "./scratch.ts";

/** Files that a catalogue's folder has, by path. */
type Files = Readonly<Record<string, string | Buffer>>;

/** A catalogue's folder of an admin, removed when it is disposed. */
export type AdminFolder = AsyncDisposable & {
  readonly path: string;
  write(files: Files): Promise<void>;
  document(): Promise<CatalogueDocument>;
};

const SETTINGS_YAML = `architecture: x86_64
        boot: { kind: uefi }
        seed: cloud-init
        login: root
        memoryMiBMin: 256
        readiness: { consoleSeconds: 10, sshSeconds: 30, settledSeconds: 45 }`;

/** One version of an image, of UEFI, as it stands in catalogue.yaml. */
export function versionYaml(version: string, disk: string, more = ""): string {
  return `      - version: "${version}"
        ${SETTINGS_YAML}
        files: { disk: ${disk} }
${more}`;
}

/** The whole of a catalogue.yaml with one image, `toy`. */
export function catalogueYaml(...versions: string[]): string {
  return `name: house
expires: 30d
images:
  - name: toy
    summary: A toy
    versions:
${versions.join("")}`;
}

export const PLAIN_DISK = "{ file: toy/disk.raw, format: raw, virtualMiB: 1 }";

export async function adminFolder(files: Files = {}): Promise<AdminFolder> {
  const folder = await scratchFolder();
  const write = async (more: Files) => {
    for (const [name, content] of Object.entries(more)) {
      const path = join(folder.path, name);
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, content);
    }
  };
  await write({ "toy/disk.raw": "a disk", ...files });
  return {
    path: folder.path,
    write,
    document: async () =>
      JSON.parse(await readFile(join(folder.path, "catalogue.json"), "utf8")) as CatalogueDocument,
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

/** Length and SHA-256. */
export function contentOf(data: string | Buffer): { bytes: number; sha256: string } {
  const bytes = Buffer.from(data);
  return { bytes: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex") };
}

/** When `publish` publishes, unless it is told otherwise. */
export const NOW_MS = Date.parse("2030-01-01T00:00:00Z");

export function publish({ path }: AdminFolder, more: { renew?: boolean; nowMs?: number } = {}) {
  const signal = new AbortController().signal;
  const options = { renew: false, nowMs: NOW_MS, onProgress: () => undefined, signal, ...more };
  return publishCatalogue(path, options);
}

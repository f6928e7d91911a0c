import { readFile } from "node:fs/promises";
import { type Document, isMap, isSeq, parseDocument, type YAMLMap, YAMLSeq } from "yaml";
import type { Manifest } from "#host/images/store/manifest.ts";
import { writeAtomically } from "#lib/atomic-file.ts";
import type { Packing } from "./pack-file.ts";
import { ExchangeRefused } from "./refused.ts";

const FILE_BYTES_MAX = 1024 * 1024;

/** An image in a catalogue's folder; the paths are relative to that. */
export type ExportedFiles = {
  readonly disk: string;
  readonly packing: Packing;
  readonly kernel?: string;
  readonly initrd?: string;
};

/**
 * Adds a version to the `catalogue.yaml` at `path`, as the newest of its image, or puts it in the place of the same version; what
 * else is written there stays, comments too. Without such a file there is one from then on, named `catalogueName`. Throws
 * `ExchangeRefused` when the file is no catalogue.
 */
export async function addToCatalogue(
  path: string,
  manifest: Manifest,
  files: ExportedFiles,
  catalogueName: string,
): Promise<void> {
  const document = parseDocument((await readText(path)) ?? beginning(catalogueName));
  if (document.errors.length > 0 || !isMap(document.contents))
    throw new ExchangeRefused(
      `${path} is no catalogue file: ${document.errors[0]?.message ?? "it is no mapping"}`,
    );
  const images = listAt(document, document.contents as YAMLMap, "images", path);
  const image = found(images, "name", manifest.name) ?? grown(document, images, imageOf(manifest));
  const versions = listAt(document, image, "versions", path);
  const entry = document.createNode(versionOf(manifest, files));
  const at = versions.items.findIndex(
    (one) => isMap(one) && one.get("version") === manifest.version,
  );
  if (at < 0) versions.items.unshift(entry);
  else versions.items[at] = entry;
  await writeAtomically(path, document.toString({ lineWidth: 0 }));
}

async function readText(path: string): Promise<string | undefined> {
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (text !== undefined && text.length > FILE_BYTES_MAX)
    throw new ExchangeRefused(`${path} is longer than a catalogue file may be`);
  return text;
}

function beginning(name: string): string {
  return `# 'testbed image sign' makes catalogue.json of this file.
name: ${name}
# How long hosts believe a signed catalogue before they want a newer one.
expires: 90d
images: []
`;
}

function imageOf({ name }: Manifest) {
  return { name, summary: name, versions: [] };
}

function versionOf(manifest: Manifest, { disk, packing, kernel, initrd }: ExportedFiles) {
  const { version, architecture, boot, seed, login, memoryMiBMin, readiness, packages } = manifest;
  const { format, virtualMiB, bytes, sha256 } = manifest.disk;
  return {
    ...{ version, architecture, boot, seed, login, memoryMiBMin, readiness },
    files: {
      disk: {
        file: disk,
        ...(packing === "none" ? {} : { compression: packing, unpacked: { bytes, sha256 } }),
        ...{ format, virtualMiB },
      },
      ...(kernel !== undefined && { kernel: { file: kernel } }),
      ...(initrd !== undefined && { initrd: { file: initrd } }),
    },
    ...(Object.keys(packages).length > 0 && { packages }),
  };
}

/** The list under a key; made when it is missing, and written with one item a line from now on. */
function listAt(document: Document, map: YAMLMap, key: string, path: string): YAMLSeq {
  const value = map.get(key, true) as unknown;
  if (isSeq(value)) {
    value.flow = false;
    return value;
  }
  if (value !== undefined)
    throw new ExchangeRefused(`${path} is no catalogue file: ${key} is no list`);
  const made = new YAMLSeq(document.schema);
  map.set(key, made);
  return made;
}

function found(list: YAMLSeq, key: string, value: string): YAMLMap | undefined {
  return list.items.find((one): one is YAMLMap => isMap(one) && one.get(key) === value);
}

function grown(document: Document, list: YAMLSeq, value: object): YAMLMap {
  const node = document.createNode(value) as YAMLMap;
  list.items.push(node);
  return node;
}

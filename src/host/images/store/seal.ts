import { lstat, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Static } from "typebox";
import type { Image } from "#host/runner/ports.ts";
import { compileSchema } from "#lib/validate.ts";
import { factsFolder, noteSeal } from "./facts.ts";
import { imageFolder } from "./layout.ts";
import { filesOf, openImage, readManifest, verifyImage } from "./manifest.ts";

/**
 * A seal says how the files of an image were when their bytes were last known to be right: inode, length and time of change
 * (ctime), which the kernel sets at every write, link, rename onto and chmod, and which nobody can set back (stat(2)). While
 * it holds nothing has to be read; when it does not, all of it is. Reading an image takes seconds, and asking for the seal a
 * fraction of a millisecond.
 */
const SCHEMA = {
  type: "object",
  additionalProperties: {
    type: "object",
    additionalProperties: false,
    required: ["inode", "bytes", "changedMs"],
    properties: {
      inode: { type: "number" },
      bytes: { type: "number" },
      changedMs: { type: "number" },
    },
  },
} as const;

type Seal = Static<typeof SCHEMA>;

const violations = compileSchema(SCHEMA);

/**
 * Opens a stored image as `openImage` does, and reads all of it when one of its files was touched since it was sealed. One without a
 * seal, as older testbeds left them, is sealed as it is. Throws image-damaged; aborts with the signal's reason.
 */
export async function openSealed(
  store: string,
  digest: string,
  signal: AbortSignal,
): Promise<Image> {
  const folder = imageFolder(store, digest);
  const image = await openImage(folder, digest);
  const [is, was] = [await sealOf(folder, digest), await readSeal(store, digest)];
  if (was !== undefined && isSame(is, was)) return image;
  if (was !== undefined) await verifyImage(folder, digest, signal);
  await noteSeal(store, digest, is);
  return image;
}

async function sealOf(folder: string, digest: string): Promise<Seal> {
  const seal: Record<string, Seal[string]> = {};
  for (const { name } of filesOf(await readManifest(folder, digest))) {
    const { ino, size, ctimeMs } = await lstat(join(folder, name));
    seal[name] = { inode: ino, bytes: size, changedMs: ctimeMs };
  }
  return seal;
}

function isSame(is: Seal, was: Seal): boolean {
  const names = Object.keys(is);
  return (
    names.length === Object.keys(was).length &&
    names.every((name) => {
      const [a, b] = [is[name], was[name]];
      return a?.inode === b?.inode && a?.bytes === b?.bytes && a?.changedMs === b?.changedMs;
    })
  );
}

async function readSeal(store: string, digest: string): Promise<Seal | undefined> {
  try {
    const text = await readFile(join(factsFolder(store, digest), "seal.json"), "utf8");
    const value: unknown = JSON.parse(text);
    return violations(value).length === 0 ? (value as Seal) : undefined;
  } catch {
    return undefined;
  }
}

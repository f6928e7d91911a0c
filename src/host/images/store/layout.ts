import { randomBytes } from "node:crypto";
import { chmod, open, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Static } from "typebox";
import { writeAtomically } from "#lib/atomic-file.ts";
import { FileLock } from "#lib/file-lock.ts";
import { makeFolders } from "#lib/make-folders.ts";
import { compileSchema } from "#lib/validate.ts";
import { DIGEST_PATTERN, NAME_PATTERN, VERSION_PATTERN } from "./manifest.ts";

/**
 * The store on disk, below one folder:
 *
 *     <digest>/                manifest.json and the image's files, read-only, never changed
 *     names/<name>.json        which digest a name means now, and what it was built from
 *     names/<name>.lock        held while somebody builds this name
 *     building/<name>.<hex>/   a build under way; the same file system, so that it ends in one rename
 */

const digest = { type: "string", pattern: DIGEST_PATTERN } as const;

const ENTRY_SCHEMA = {
  type: "object",
  additionalProperties: false,
  required: ["schema", "current", "recipe", "packages", "versions"],
  properties: {
    schema: { const: 1 },
    /** The image that the bare name means. */
    current: digest,
    /** Hash of the recipe folder that it was built from. */
    recipe: digest,
    /** Digest of the image that it began with. */
    base: digest,
    /** Debian packages that went in, with versions. */
    packages: { type: "object", additionalProperties: { type: "string" } },
    versions: {
      type: "object",
      propertyNames: { pattern: VERSION_PATTERN },
      additionalProperties: digest,
    },
  },
} as const;

/** What the store knows of a name. */
export type Entry = Static<typeof ENTRY_SCHEMA>;

const violations = compileSchema(ENTRY_SCHEMA);

/** The folder of an image. */
export function imageFolder(store: string, digestHex: string): string {
  return join(store, digestHex);
}

/**
 * What a name means, or undefined when the store does not know it. An entry that cannot be understood counts as none: the
 * image is built again, and its files are still there under their digest.
 */
export async function readEntry(store: string, name: string): Promise<Entry | undefined> {
  const text = await readFile(entryPath(store, name), "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return violations(value).length === 0 ? (value as Entry) : undefined;
  } catch {
    return undefined;
  }
}

/** Makes a name mean something else. Whoever reads meanwhile sees the old entry or the new one. */
export async function writeEntry(store: string, name: string, entry: Entry): Promise<void> {
  await writeAtomically(entryPath(store, name), `${JSON.stringify(entry, null, 2)}\n`);
}

/** Names that the store has images of, sorted. */
export async function storedNames(store: string): Promise<string[]> {
  const files = await readdir(join(store, "names")).catch(() => []);
  return files
    .filter((file) => file.endsWith(".json"))
    .map((file) => file.slice(0, -".json".length))
    .filter((name) => new RegExp(NAME_PATTERN).test(name))
    .sort();
}

/**
 * Takes the lock of a name's builds, making the store's folders when they are missing. Tells once when it has to wait for
 * somebody else. Aborts with the signal's reason.
 */
export async function lockName(
  store: string,
  name: string,
  { onWait, signal }: { onWait: () => void; signal: AbortSignal },
): Promise<FileLock> {
  for (const folder of ["names", "building"]) await makeFolder(join(store, folder));
  const path = lockPath(store, name);
  const lock = FileLock.tryTake(path);
  if (lock !== undefined) return lock;
  onWait();
  return FileLock.take(path, signal);
}

/** A fresh folder for a build of this name, on the store's file system. */
export async function makeBuildFolder(store: string, name: string): Promise<string> {
  const folder = join(store, "building", `${name}.${randomBytes(4).toString("hex")}`);
  await makeFolder(folder);
  return folder;
}

/**
 * Removes what killed builds left behind: folders whose name nobody holds the lock of. `held` is the name that the caller
 * itself holds, whose leftovers go too.
 */
export async function sweepBuilds(store: string, held: string): Promise<void> {
  for (const folder of await readdir(join(store, "building"))) {
    const name = folder.replace(/\.[0-9a-f]+$/, "");
    if (!new RegExp(NAME_PATTERN).test(name)) continue;
    using lock = name === held ? undefined : FileLock.tryTake(lockPath(store, name));
    if (name === held || lock !== undefined)
      await rm(join(store, "building", folder), { recursive: true, force: true, maxRetries: 10 });
  }
}

/**
 * Moves a finished image to its digest: read-only, on disk before it gets its name, in one step. An image that is there
 * already is the same one, and stays.
 */
export async function publish(store: string, built: string, digestHex: string): Promise<void> {
  for (const name of await readdir(built)) {
    const path = join(built, name);
    await chmod(path, 0o444);
    await syncPath(path);
  }
  await chmod(built, 0o755);
  await syncPath(built);
  const target = imageFolder(store, digestHex);
  const isThere = await stat(target).then(
    () => true,
    () => false,
  );
  if (isThere) return;
  await rename(built, target);
  await syncPath(store);
}

function entryPath(store: string, name: string): string {
  return join(store, "names", `${name}.json`);
}

function lockPath(store: string, name: string): string {
  return join(store, "names", `${name}.lock`);
}

/** QEMU's user has to pass through, whatever the umask says. */
async function makeFolder(path: string): Promise<void> {
  await makeFolders(path, 0o755);
}

async function syncPath(path: string): Promise<void> {
  const handle = await open(path, "r");
  await handle.sync().finally(() => handle.close());
}

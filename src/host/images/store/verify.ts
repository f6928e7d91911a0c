import { lstat, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "#job/fault.ts";
import { entryPath, parseEntry, storedNames } from "./entry.ts";
import { imageFolder, storedDigests, tryLockName } from "./layout.ts";
import {
  DIGEST_PATTERN,
  filesOf,
  type ImageFile,
  MANIFEST_NAME,
  NAME_PATTERN,
  readManifest,
  sha256File,
} from "./manifest.ts";

/** What can be wrong in a store. */
export type DamageKind =
  | "manifest"
  | "missing"
  | "short"
  | "long"
  | "altered"
  | "not-a-file"
  | "unreadable"
  | "mode"
  | "foreign"
  | "name-unreadable"
  | "name-dangling"
  | "half-made";

/** One thing that is wrong. */
export type Damage = {
  readonly kind: DamageKind;
  /** Relative to the store. */
  readonly path: string;
  /** Of the image that it is about. */
  readonly digest?: string;
  readonly says: string;
};

/** Damage that makes an image another one than its digest says: it is not to be used. Of the rest its files are whole. */
export const RUINS: ReadonlySet<DamageKind> = new Set([
  "manifest",
  "missing",
  "short",
  "long",
  "altered",
  "not-a-file",
  "unreadable",
] satisfies DamageKind[]);

export type Progress = {
  /** Called often: bytes read so far, and of how many. */
  readonly onBytes: (done: number, all: number) => void;
  readonly signal: AbortSignal;
};

/** What the store's own folders and files are called, beside its images. */
const OWN = /^(names|building|facts|holds|removing|damaged|fetching|catalogues)$/;

/**
 * Reads every byte of images and names all that is wrong with them; with no digests given of all there are, and of the
 * rest of the store as well. Changes nothing. What another process is building or removing meanwhile is no damage.
 */
export async function verifyStore(
  store: string,
  digests: readonly string[] | undefined,
  progress: Progress,
): Promise<readonly Damage[]> {
  const asked = digests ?? (await storedDigests(store));
  const all = await bytesOf(store, asked);
  let done = 0;
  const onBytes = (bytes: number) => {
    done += bytes;
    progress.onBytes(done, all);
  };
  const found: Damage[] = [];
  for (const digest of asked)
    found.push(...(await verifyOne(store, digest, { onBytes, signal: progress.signal })));
  if (digests !== undefined) return found;
  return [...found, ...(await verifyNames(store)), ...(await strangers(store))];
}

type Reading = { readonly onBytes: (bytes: number) => void; readonly signal: AbortSignal };

async function verifyOne(store: string, digest: string, reading: Reading): Promise<Damage[]> {
  const folder = imageFolder(store, digest);
  const names = await readdir(folder).catch(() => undefined);
  const damage = (kind: DamageKind, name: string, says: string): Damage => ({
    kind,
    path: name === "" ? digest : join(digest, name),
    digest,
    says,
  });
  if (names === undefined) return [damage("missing", "", "there is no such image")];
  const found: Damage[] = [];
  const { mode } = await lstat(folder);
  if ((mode & 0o777) !== 0o755)
    found.push(damage("mode", "", `its mode is ${octal(mode)}, not 755`));
  const manifest = await readManifest(folder, digest).catch((error: unknown) => {
    const says = Fault.from(error).cause;
    found.push(damage("manifest", MANIFEST_NAME, (says as Error | undefined)?.message ?? ""));
    return undefined;
  });
  const files = manifest === undefined ? [] : filesOf(manifest);
  for (const file of files) {
    const wrong = await verifyFile(join(folder, file.name), file, reading);
    found.push(...wrong.map(({ kind, says }) => damage(kind, file.name, says)));
  }
  if (manifest === undefined) return found;
  const manifestMode = (await lstat(join(folder, MANIFEST_NAME))).mode;
  if ((manifestMode & 0o777) !== 0o444)
    found.push(damage("mode", MANIFEST_NAME, modeWords(manifestMode)));
  const known = new Set([MANIFEST_NAME, ...files.map(({ name }) => name)]);
  for (const name of names.filter((one) => !known.has(one)))
    found.push(damage("foreign", name, "is no file of the image"));
  return found;
}

async function verifyFile(
  path: string,
  { bytes, sha256 }: ImageFile,
  { onBytes, signal }: Reading,
): Promise<readonly Pick<Damage, "kind" | "says">[]> {
  const there = await lstat(path).catch(() => undefined);
  if (there === undefined) return [{ kind: "missing", says: "is not there" }];
  if (!there.isFile()) return [{ kind: "not-a-file", says: "is no regular file" }];
  const mode =
    (there.mode & 0o777) === 0o444 ? [] : [{ kind: "mode", says: modeWords(there.mode) } as const];
  if (there.size !== bytes) {
    const kind = there.size < bytes ? "short" : "long";
    return [{ kind, says: `has ${there.size} bytes, not ${bytes}` }, ...mode];
  }
  try {
    const found = await sha256File(path, signal, onBytes);
    if (found === sha256) return mode;
    return [{ kind: "altered", says: `has SHA-256 ${found}, not ${sha256}` }, ...mode];
  } catch (error) {
    signal.throwIfAborted();
    return [{ kind: "unreadable", says: (error as Error).message }, ...mode];
  }
}

async function verifyNames(store: string): Promise<readonly Damage[]> {
  const stored = new Set(await storedDigests(store));
  const found: Damage[] = [];
  for (const name of await storedNames(store)) {
    const path = join("names", `${name}.json`);
    const text = await readFile(entryPath(store, name), "utf8").catch(() => "");
    const entry = parseEntry(text);
    if (entry === undefined) {
      found.push({ kind: "name-unreadable", path, says: "cannot be read as what a name means" });
      continue;
    }
    const { current, previous, versions } = entry;
    const means = [["it", current] as const, ...Object.entries(versions)];
    if (previous !== undefined) means.push(["what it meant before", previous]);
    for (const [what, digest] of means.filter(([, one]) => !stored.has(one)))
      found.push({
        kind: "name-dangling",
        path,
        digest,
        says: `${what} is ${digest}, which is not there`,
      });
  }
  return found;
}

/** Folders that somebody who died was at, and what is none of ours. */
async function strangers(store: string): Promise<readonly Damage[]> {
  const found: Damage[] = [];
  for (const name of await list(store))
    if (!OWN.test(name) && !new RegExp(DIGEST_PATTERN).test(name))
      found.push({ kind: "foreign", path: name, says: "is nothing of the store's" });
  for (const name of await list(join(store, "building"))) {
    const of = name.replace(/\.[0-9a-f]+$/, "");
    using lock = new RegExp(NAME_PATTERN).test(of) ? tryLockName(store, of) : undefined;
    if (lock === undefined && new RegExp(NAME_PATTERN).test(of)) continue;
    const path = join("building", name);
    found.push({ kind: "half-made", path, says: "is of a build or an import that was killed" });
  }
  for (const name of await list(join(store, "removing"))) {
    const path = join("removing", name);
    found.push({
      kind: "half-made",
      path,
      says: "is on its way out, and who removed it was killed",
    });
  }
  return found;
}

async function bytesOf(store: string, digests: readonly string[]): Promise<number> {
  let sum = 0;
  for (const digest of digests) {
    const manifest = await readManifest(imageFolder(store, digest), digest).catch(() => undefined);
    for (const { bytes } of manifest === undefined ? [] : filesOf(manifest)) sum += bytes;
  }
  return sum;
}

function modeWords(mode: number): string {
  return `its mode is ${octal(mode)}, not 444`;
}

function octal(mode: number): string {
  return (mode & 0o777).toString(8);
}

async function list(folder: string): Promise<readonly string[]> {
  return await readdir(folder).catch(() => []);
}

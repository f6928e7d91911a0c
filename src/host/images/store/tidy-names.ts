import { existsSync } from "node:fs";
import { readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import {
  type Entry,
  entryPath,
  parseEntry,
  storedNames,
  withoutDigests,
  withVersion,
  writeEntry,
} from "./entry.ts";
import { readOrigin, readSmoke } from "./facts.ts";
import { usedAtMs } from "./inventory.ts";
import { imageFolder, storedDigests, tryLockName } from "./layout.ts";
import { readManifest } from "./manifest.ts";
import { makeShared } from "./shared.ts";

/** An image that says whose it is. */
type Claim = { readonly digest: string; readonly version: string };

/**
 * Has names mean images that are there; returns what was changed, in words. A name whose entry is lost or cannot be read means
 * what the store has of it, by the images' own manifests. Of a recipe it counts as out of date then, and is built again
 * when somebody asks.
 */
export async function tidyNames(store: string): Promise<readonly string[]> {
  const claims = await claimsByName(store);
  const said: string[] = [];
  for (const name of new Set([...(await storedNames(store)), ...claims.keys()])) {
    using lock = tryLockName(store, name);
    // Whoever is at it writes it anew.
    const words = lock && (await tidyName(store, name, claims.get(name) ?? []));
    if (words !== undefined) said.push(`names/${name}.json: ${words}`);
  }
  return said;
}

async function tidyName(
  store: string,
  name: string,
  claims: readonly Claim[],
): Promise<string | undefined> {
  const path = entryPath(store, name);
  const text = await readFile(path, "utf8").catch(() => undefined);
  const entry = text === undefined ? undefined : parseEntry(text);
  if (entry === undefined) {
    if (text !== undefined) await moveAside(store, path, name);
    const anew = entryOf(claims);
    if (anew !== undefined) await writeEntry(store, name, anew);
    else if (text === undefined) return undefined;
    const was = text === undefined ? "was missing" : "could not be read, set aside";
    return `${was}; ${meaning(anew)}`;
  }
  const { current, previous, versions } = entry;
  const digests = [
    current,
    ...(previous === undefined ? [] : [previous]),
    ...Object.values(versions),
  ];
  const missing = new Set(digests.filter((one) => !existsSync(imageFolder(store, one))));
  if (missing.size === 0) return undefined;
  const left = withoutDigests(entry, (one) => missing.has(one));
  if (left === undefined) await rm(path, { force: true });
  else await writeEntry(store, name, left);
  return `${missing.size} of its images are not there; ${meaning(left)}`;
}

function meaning(entry: Entry | undefined): string {
  return entry === undefined ? "nothing is left of it" : `it means ${entry.current.slice(0, 12)}`;
}

function entryOf(claims: readonly Claim[]): Entry | undefined {
  let entry: Entry | undefined;
  for (const { digest, version } of claims)
    entry = withVersion(entry, version, { digest, isCurrent: true });
  return entry;
}

async function moveAside(store: string, path: string, name: string): Promise<void> {
  const folder = await makeShared(store, "damaged");
  await rename(path, join(folder, `${name}.json.${Date.now()}`));
}

/** An image of a catalogue is meant by its name only when it was tried out here, whatever brought it. */
async function mayBeMeant(store: string, digest: string): Promise<boolean> {
  if ((await readOrigin(store, digest))?.kind !== "catalogue") return true;
  return (await readSmoke(store, digest))?.outcome === "passed";
}

/** What the images say, the one that came or was used last at the end. */
async function claimsByName(store: string): Promise<ReadonlyMap<string, readonly Claim[]>> {
  const found: { name: string; claim: Claim; usedMs: number }[] = [];
  for (const digest of await storedDigests(store)) {
    const manifest = await readManifest(imageFolder(store, digest), digest).catch(() => undefined);
    if (manifest === undefined) continue;
    const { name, version } = manifest;
    if (!(await mayBeMeant(store, digest))) continue;
    found.push({ name, claim: { digest, version }, usedMs: await usedAtMs(store, digest) });
  }
  found.sort((a, b) => a.usedMs - b.usedMs);
  return new Map(
    [...Map.groupBy(found, ({ name }) => name)].map(([name, all]) => [
      name,
      all.map(({ claim }) => claim),
    ]),
  );
}

import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import { type Entry, readEntries, versionsOf } from "./entry.ts";
import { lastUsedMs, type Origin, readOrigin, readSmoke, type Smoke } from "./facts.ts";
import { heldDigests, type Purpose } from "./holds.ts";
import { machinesByDigest, type Place } from "./in-use.ts";
import { imageFolder, storedDigests } from "./layout.ts";
import { type Manifest, readManifest } from "./manifest.ts";

/** An image in the store with all that is known of it. */
export type StoredImage = {
  readonly digest: string;
  /** Missing when it cannot be read. */
  readonly manifest: Manifest | undefined;
  /** What its files take of the disk. */
  readonly bytes: number;
  /** When it came into the store, in milliseconds since 1970. */
  readonly arrivedMs: number;
  /** When it was used last; when it came, if never. */
  readonly usedMs: number;
  readonly origin: Origin | undefined;
  readonly smoke: Smoke | undefined;
  /** Names that mean it now, or meant it before. */
  readonly currentOf: readonly string[];
  readonly previousOf: readonly string[];
  /** Versions that it is, with how many versions of that name came after it. */
  readonly versionOf: readonly {
    readonly name: string;
    readonly version: string;
    readonly newer: number;
  }[];
  readonly heldFor: ReadonlySet<Purpose>;
  /** Machines whose disks stand on it. */
  readonly machines: readonly string[];
};

/** Every image in the store, sorted by digest. Reads no image but its manifest. */
export async function takeInventory(place: Place): Promise<readonly StoredImage[]> {
  const { store } = place;
  const entries = await readEntries(store);
  const held = await heldDigests(store);
  const machines = await machinesByDigest(place);
  const images: StoredImage[] = [];
  for (const digest of await storedDigests(store)) {
    const size = await measure(imageFolder(store, digest));
    // Another process removed it just now.
    if (size === undefined) continue;
    images.push({
      digest,
      ...size,
      ...(await knownOf(store, digest)),
      ...namesOf(digest, entries),
      heldFor: held.get(digest) ?? new Set(),
      machines: machines.get(digest) ?? [],
    });
  }
  return images;
}

/** Which names mean an image. */
export function namesOf(
  digest: string,
  entries: ReadonlyMap<string, Entry>,
): Pick<StoredImage, "currentOf" | "previousOf" | "versionOf"> {
  const all = [...entries];
  const meaning = (which: "current" | "previous") =>
    all.filter(([, entry]) => entry[which] === digest).map(([name]) => name);
  const versionOf = all.flatMap(([name, entry]) => {
    const order = versionsOf(entry);
    return order.flatMap(([version, one], at) =>
      one === digest ? [{ name, version, newer: order.length - 1 - at }] : [],
    );
  });
  return { currentOf: meaning("current"), previousOf: meaning("previous"), versionOf };
}

/** When an image was used last, or came: whatever is later. In milliseconds since 1970; 0 when it is not there. */
export async function usedAtMs(store: string, digest: string): Promise<number> {
  const found = await lstat(imageFolder(store, digest)).catch(() => undefined);
  return Math.max((await lastUsedMs(store, digest)) ?? 0, found?.mtimeMs ?? 0);
}

async function knownOf(store: string, digest: string) {
  const manifest = await readManifest(imageFolder(store, digest), digest).catch(() => undefined);
  const usedMs = await usedAtMs(store, digest);
  const [origin, smoke] = [await readOrigin(store, digest), await readSmoke(store, digest)];
  return { manifest, usedMs, origin, smoke };
}

async function measure(folder: string): Promise<{ bytes: number; arrivedMs: number } | undefined> {
  try {
    const { mtimeMs } = await lstat(folder);
    let bytes = 0;
    for (const name of await readdir(folder))
      bytes += (await lstat(join(folder, name))).blocks * 512;
    return { bytes, arrivedMs: mtimeMs };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

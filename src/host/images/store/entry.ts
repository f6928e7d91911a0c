import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Static } from "typebox";
import { compileSchema } from "#lib/validate.ts";
import { DIGEST_PATTERN, NAME_PATTERN, VERSION_PATTERN } from "./manifest.ts";
import { writeShared } from "./shared.ts";

const digest = { type: "string", pattern: DIGEST_PATTERN } as const;

const PARTS = {
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
} as const;

const SCHEMA = {
  type: "object",
  additionalProperties: false,
  required: ["schema", "current", "versions"],
  properties: {
    schema: { const: 2 },
    ...PARTS,
    /** What the bare name meant before, kept to fall back to. */
    previous: digest,
    /** The versions as they came, the newest last: the keys of an object have an order of their own when they are numbers. */
    order: { type: "array", items: { type: "string", pattern: VERSION_PATTERN } },
  },
} as const;

/** Of stores that testbed 0.2.0 and older left: only what was built from a recipe. */
const SCHEMA_1 = {
  type: "object",
  additionalProperties: false,
  required: ["schema", "current", "recipe", "packages", "versions"],
  properties: { schema: { const: 1 }, ...PARTS },
} as const;

/** What the store knows of a name. `recipe`, `base` and `packages` are there of one that was built here from a recipe. */
export type Entry = Static<typeof SCHEMA>;

const violations = compileSchema(SCHEMA);
const violations1 = compileSchema(SCHEMA_1);

/**
 * What a name means, or undefined when the store does not know it. An entry that cannot be understood counts as none: the
 * image is built again, and its files are still there under their digest.
 */
export async function readEntry(store: string, name: string): Promise<Entry | undefined> {
  const text = await readFile(entryPath(store, name), "utf8").catch(() => undefined);
  return text === undefined ? undefined : parseEntry(text);
}

/** The entry in the text of a file of any format; undefined when it is none. */
export function parseEntry(text: string): Entry | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (violations(value).length === 0) return value as Entry;
    if (violations1(value).length > 0) return undefined;
    return { ...(value as Static<typeof SCHEMA_1>), schema: 2 };
  } catch {
    return undefined;
  }
}

/** Makes a name mean something else; the caller has the name's lock. Whoever reads meanwhile sees the old entry or the new one. */
export async function writeEntry(store: string, name: string, entry: Entry): Promise<void> {
  await writeShared(store, entryPath(store, name), `${JSON.stringify(entry, null, 2)}\n`);
}

/**
 * An entry after an image came in: `version` is it from now on and becomes the newest. As `current` the bare name means it, what
 * that meant before is kept as `previous`, and the name no longer counts as built from its recipe.
 */
export function withVersion(
  entry: Entry | undefined,
  version: string,
  { digest: added, isCurrent }: { digest: string; isCurrent: boolean },
): Entry {
  const before = entry === undefined ? [] : versionsOf(entry).map(([one]) => one);
  const grown = {
    versions: { ...entry?.versions, [version]: added },
    order: [...before.filter((one) => one !== version), version],
  };
  if (entry === undefined) return { schema: 2, current: added, ...grown };
  if (!isCurrent || entry.current === added) return { ...entry, ...grown };
  return { schema: 2, current: added, previous: entry.current, ...grown };
}

/**
 * An entry without images that are gone; undefined when nothing is left of it. When the current one is gone the name means the
 * previous one, else the newest that there is, and no longer counts as built from its recipe.
 */
export function withoutDigests(
  entry: Entry,
  isGone: (digest: string) => boolean,
): Entry | undefined {
  const left = versionsOf(entry).filter(([, one]) => !isGone(one));
  const kept = { versions: Object.fromEntries(left), order: left.map(([version]) => version) };
  const { previous, ...rest } = entry;
  const before = previous !== undefined && !isGone(previous) ? previous : undefined;
  if (!isGone(entry.current))
    return { ...rest, ...kept, ...(before === undefined ? {} : { previous: before }) };
  const current = before ?? left.at(-1)?.[1];
  return current === undefined ? undefined : { schema: 2, current, ...kept };
}

/** The image that a version is, by its name, which may be any word: `constructor` too. */
export function digestIn(entry: Entry | undefined, version: string): string | undefined {
  return entry !== undefined && Object.hasOwn(entry.versions, version)
    ? entry.versions[version]
    : undefined;
}

/** The versions of an entry with their digests, the newest last. Those whose order nobody wrote down come first. */
export function versionsOf({
  versions,
  order = [],
}: Entry): readonly (readonly [string, string])[] {
  const rank = (version: string) => order.indexOf(version);
  return Object.entries(versions).sort(([a], [b]) => rank(a) - rank(b));
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

/** Every entry that can be read, by name. */
export async function readEntries(store: string): Promise<ReadonlyMap<string, Entry>> {
  const entries = new Map<string, Entry>();
  for (const name of await storedNames(store)) {
    const entry = await readEntry(store, name);
    if (entry !== undefined) entries.set(name, entry);
  }
  return entries;
}

export function entryPath(store: string, name: string): string {
  return join(store, "names", `${name}.json`);
}

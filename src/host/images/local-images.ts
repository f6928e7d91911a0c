import { existsSync } from "node:fs";
import { stat } from "node:fs/promises";
import type { Derive, Image, Images } from "#host/runner/ports.ts";
import { Fault } from "#job/fault.ts";
import { type ImageReference, parseImageReference } from "#job/image-reference.ts";
import { packageVersions } from "./build/debian-packages.ts";
import { freshDigest } from "./build/fresh-digest.ts";
import { checkPreconditions } from "./build/preconditions.ts";
import { findRecipe, type Recipe, recipeNames } from "./build/recipe.ts";
import { build } from "./build/run-recipe.ts";
import type { ImagePlaces } from "./image-places.ts";
import { type OfferedImage, offeredImages } from "./offered-images.ts";
import { unknownImage } from "./reference.ts";
import { type Entry, readEntry, storedNames, withVersion, writeEntry } from "./store/entry.ts";
import { noteOrigin, touchUsed } from "./store/facts.ts";
import { holdImage } from "./store/holds.ts";
import { imageFolder, lockName, sweepBuilds } from "./store/layout.ts";
import { openImage, readManifest } from "./store/manifest.ts";
import { writeOverlay } from "./store/overlay.ts";
import { setAside } from "./store/removal.ts";
import { translated } from "./translated.ts";

/**
 * What makes a stored image out of date. `recipe`: the recipe folder changed, here or in the image that it begins with;
 * costs a millisecond. `packages`: also newer Debian packages; asks apt. `always`: build whatever is there.
 */
export type Freshness = "recipe" | "packages" | "always";

/** The images of this host; and what `testbed image build` and the daemon ask for. */
export type LocalImages = Images & {
  /** What this host has or can make, the newest of a name first. */
  offered(): Promise<readonly OfferedImage[]>;
  /** Builds an image when it is out of date and returns what its name means then. Throws like `resolve`. */
  build(
    name: string,
    freshness: Freshness,
    progress: { onProgress: (line: string) => void; signal: AbortSignal },
  ): Promise<Image>;
};

const withoutMachines: Derive = async () => {
  throw new Fault("image-build-failed", "there are no machines here to derive an image in");
};

type Work = {
  readonly catalogue: ImagePlaces;
  readonly derive: Derive;
  readonly freshness: Freshness;
  readonly onProgress: (line: string) => void;
  readonly signal: AbortSignal;
};

/**
 * Opens the images of this host. Touches nothing until it is asked for one; keeps nothing in memory. `derive` is asked for a machine
 * when an image is built from another one's machine.
 */
export function localImages(catalogue: ImagePlaces, derive: Derive = withoutMachines): LocalImages {
  return {
    resolve: (reference, onProgress, signal) => {
      const work: Work = { catalogue, derive, freshness: "recipe", onProgress, signal };
      return translated(signal, async () => {
        const image = await resolve(work, reference);
        await touchUsed(catalogue.store, image.digest);
        return image;
      });
    },
    hold: (image, signal) =>
      translated(signal, () => holdImage(catalogue.store, image.digest, "attempt", signal)),
    overlay: (image, path, diskMiB, signal) =>
      translated(signal, () => writeOverlay(image, path, diskMiB)),
    offered: () => offeredImages(catalogue),
    build: (name, freshness, { onProgress, signal }) => {
      const work: Work = { catalogue, derive, freshness, onProgress, signal };
      return translated(signal, () => resolve(work, name));
    },
  };
}

async function resolve(work: Work, text: string): Promise<Image> {
  const { store, recipes } = work.catalogue;
  const reference = parseImageReference(text);
  if (reference === undefined)
    throw await unknown(work, text, "write name, name:version or name@sha256:<64 hex digits>");
  if (reference.digest !== undefined) return byDigest(work, text, reference.name, reference.digest);
  const recipe = await findRecipe(recipes, reference.name);
  const entry = await readEntry(store, reference.name);
  if (recipe === undefined && entry === undefined) throw await unknown(work, text);
  const other = olderVersion(reference, recipe, entry);
  if (other !== undefined) return openImage(imageFolder(store, other), other);
  if (reference.version !== undefined && reference.version !== recipe?.version)
    throw await unknown(
      work,
      text,
      `versions here: ${[...new Set([recipe?.version, ...Object.keys(entry?.versions ?? {})])].filter(Boolean).join(", ")}`,
    );
  if (recipe !== undefined) return upToDate(work, recipe, []);
  const { current } = entry as Entry;
  return openImage(imageFolder(store, current), current);
}

/** The digest of a version that the recipe no longer makes but the store still has. */
function olderVersion(
  { version }: ImageReference,
  recipe: Recipe | undefined,
  entry: Entry | undefined,
): string | undefined {
  return version === undefined || version === recipe?.version
    ? undefined
    : entry?.versions[version];
}

async function byDigest(work: Work, text: string, name: string, digest: string): Promise<Image> {
  const folder = imageFolder(work.catalogue.store, digest);
  const isThere = await stat(folder).then(
    () => true,
    () => false,
  );
  if (!isThere) throw await unknown(work, text, "this digest is not in this host's store");
  const manifest = await readManifest(folder, digest);
  if (manifest.name !== name)
    throw await unknown(work, text, `this digest is of image ${manifest.name}`);
  return openImage(folder, digest);
}

async function unknown(work: Work, text: string, ...why: string[]): Promise<Fault> {
  const { store, recipes } = work.catalogue;
  const known = new Set([...(await recipeNames(recipes)), ...(await storedNames(store))]);
  return unknownImage(text, why, [...known].sort());
}

/** The image of a recipe, built when the store has none or an old one. `above` are the recipes that begin with this one. */
async function upToDate(work: Work, recipe: Recipe, above: readonly string[]): Promise<Image> {
  const { store } = work.catalogue;
  const { name } = recipe;
  if (above.includes(name))
    throw new Fault("image-build-failed", `recipe ${name} begins with itself: ${above.join(", ")}`);
  const tell = (line: string) => work.onProgress(`image ${name}: ${line}`);
  const find = async () =>
    work.freshness === "recipe"
      ? await openWhole(store, await freshDigest(work.catalogue, recipe))
      : undefined;
  const stored = await find();
  if (stored !== undefined) return stored;

  using _ = await lockName(store, name, {
    onWait: () => tell("waiting for another process that builds it"),
    signal: work.signal,
  });
  const builtMeanwhile = await find();
  if (builtMeanwhile !== undefined) return builtMeanwhile;
  await sweepBuilds(store, name);
  // Awaited here: a promise handed on would outlive the lock.
  return await rebuild(work, recipe, { chain: [...above, name], tell });
}

/** Under the name's lock: makes what the recipe needs, builds unless nothing changed, and writes the entry. */
async function rebuild(
  work: Work,
  recipe: Recipe,
  { chain, tell }: { chain: readonly string[]; tell: (line: string) => void },
): Promise<Image> {
  const { store } = work.catalogue;
  const startMs = performance.now();
  await checkPreconditions(recipe);
  await using scope = new AsyncDisposableStack();
  const base =
    recipe.from === undefined ? undefined : await baseOf(work, recipe.from, { chain, scope });
  const packages = await packageVersions(recipe.packages ?? recipe.debs ?? [], tell, work.signal);
  const entry = await readEntry(store, recipe.name);
  const current = await openWhole(store, entry?.current);
  if (entry !== undefined && current === undefined) await clearDamaged(work, entry.current, tell);
  const inputs = { recipe: recipe.hash, ...(base && { base: base.digest }), packages };
  if (work.freshness === "packages" && current && entry && isBuiltFrom(entry, inputs)) {
    tell("up to date");
    return current;
  }
  const digest = await build(
    {
      store,
      recipe,
      packages,
      derive: work.derive,
      base: base && { ...base, folder: imageFolder(store, base.digest) },
      onProgress: tell,
    },
    work.signal,
  );
  const { base: _, ...grown } = withVersion(entry, recipe.version, { digest, isCurrent: true });
  await writeEntry(store, recipe.name, { ...grown, ...inputs });
  const at = new Date().toISOString();
  await noteOrigin(store, digest, { kind: "recipe", by: recipe.folder, at });
  tell(`built in ${Math.round((performance.now() - startMs) / 100) / 10} s`);
  return openImage(imageFolder(store, digest), digest);
}

/** The image that another is built from, held while it is. */
async function baseOf(
  work: Work,
  name: string,
  { chain, scope }: { chain: readonly string[]; scope: AsyncDisposableStack },
): Promise<Image> {
  const { store, recipes } = work.catalogue;
  const base = await findBase();
  const hold = await holdImage(store, base.digest, "build", work.signal);
  if (hold !== undefined) scope.use(hold);
  return base;

  async function findBase(): Promise<Image> {
    const recipe = await findRecipe(recipes, name);
    // Only what was asked for is built in any case; what it stands on is built when it is out of date.
    const freshness = work.freshness === "always" ? "packages" : work.freshness;
    if (recipe !== undefined) return await upToDate({ ...work, freshness }, recipe, chain);
    const entry = await readEntry(store, name);
    if (entry === undefined)
      throw await unknown(work, name, `recipe ${chain.at(-1)} begins with it`);
    return await openImage(imageFolder(store, entry.current), entry.current);
  }
}

/** Opens an image; undefined when there is none, or it is damaged: then its recipe makes it again. */
async function openWhole(store: string, digest: string | undefined): Promise<Image | undefined> {
  if (digest === undefined) return undefined;
  return await openImage(imageFolder(store, digest), digest).catch((error: unknown) => {
    if (Fault.from(error).code === "image-damaged") return undefined;
    throw error;
  });
}

/** Under the name's lock: makes room for an image that may come out the same. One that somebody uses stays where it is. */
async function clearDamaged(
  { catalogue, signal }: Work,
  digest: string,
  tell: (line: string) => void,
): Promise<void> {
  const folder = imageFolder(catalogue.store, digest);
  if (!existsSync(folder))
    return tell(`${digest.slice(0, 12)} is gone from the store; it is built again`);
  const aside = await setAside(catalogue, digest, signal);
  tell(
    "path" in aside
      ? `${digest.slice(0, 12)} is damaged and set aside in ${aside.path}; it is built again`
      : `${digest.slice(0, 12)} is damaged and stays, since ${aside.why}; it is built again`,
  );
}

function isBuiltFrom(entry: Entry, inputs: Pick<Entry, "recipe" | "base" | "packages">): boolean {
  const same = (a: Record<string, string>, b: Record<string, string>) =>
    JSON.stringify(Object.entries(a).sort()) === JSON.stringify(Object.entries(b).sort());
  return (
    entry.recipe === inputs.recipe &&
    entry.base === inputs.base &&
    same(entry.packages ?? {}, inputs.packages ?? {})
  );
}

import { unknown } from "#host/images/known-images.ts";
import { type Entry, readEntry, withVersion, writeEntry } from "#host/images/store/entry.ts";
import { noteOrigin } from "#host/images/store/facts.ts";
import { holdImage } from "#host/images/store/holds.ts";
import { imageFolder, lockName, sweepBuilds } from "#host/images/store/layout.ts";
import { openSealed } from "#host/images/store/seal.ts";
import { clearDamaged, openWhole } from "#host/images/whole-image.ts";
import type { Work } from "#host/images/work.ts";
import type { Image } from "#host/runner/ports.ts";
import { Fault } from "#job/fault.ts";
import { packageVersions } from "./debian-packages.ts";
import { freshDigest } from "./fresh-digest.ts";
import { checkPreconditions } from "./preconditions.ts";
import { findRecipe, type Recipe } from "./recipe.ts";
import { build } from "./run-recipe.ts";

/** The image of a recipe, built when the store has none or an old one. `above` are the recipes that begin with this one. */
export async function upToDate(
  work: Work,
  recipe: Recipe,
  above: readonly string[],
): Promise<Image> {
  const { store } = work.places;
  const { name } = recipe;
  if (above.includes(name))
    throw new Fault("image-build-failed", `recipe ${name} begins with itself: ${above.join(", ")}`);
  const tell = (line: string) => work.onProgress(`image ${name}: ${line}`);
  const find = async () =>
    work.freshness === "recipe"
      ? await openWhole(work, await freshDigest(work.places, recipe))
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
  const { store } = work.places;
  const startMs = performance.now();
  await checkPreconditions(recipe);
  await using scope = new AsyncDisposableStack();
  const base =
    recipe.from === undefined ? undefined : await baseOf(work, recipe.from, { chain, scope });
  const packages = await packageVersions(recipe.packages ?? recipe.debs ?? [], tell, work.signal);
  const entry = await readEntry(store, recipe.name);
  const current = await openWhole(work, entry?.current);
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
      derive: work.machines.derive,
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
  return openSealed(store, digest, work.signal);
}

/** The image that another is built from, held while it is. */
async function baseOf(
  work: Work,
  name: string,
  { chain, scope }: { chain: readonly string[]; scope: AsyncDisposableStack },
): Promise<Image> {
  const { store, recipes } = work.places;
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
    return await openSealed(store, entry.current, work.signal);
  }
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

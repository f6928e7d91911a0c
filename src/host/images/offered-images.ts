import { freshDigest } from "./build/fresh-digest.ts";
import { findRecipe, recipeNames } from "./build/recipe.ts";
import { type Offers, readOffers } from "./follow/offers.ts";
import type { ImagePlaces } from "./image-places.ts";
import { readEntry, storedNames } from "./store/entry.ts";
import { imageFolder } from "./store/layout.ts";
import { readManifest } from "./store/manifest.ts";

/** An image as a host offers it. */
export type OfferedImage = {
  readonly name: string;
  readonly version: string;
  /** Missing while it would have to be built first. */
  readonly digest?: string;
  readonly memoryMiBMin?: number;
};

/**
 * What this host has or can make: for each name what the bare name means first, then other versions in the store; and what the name
 * means once more by each other name that its catalogue has for it. What cannot be read is left out: whoever asks for it is told why.
 */
export async function offeredImages(catalogue: ImagePlaces): Promise<readonly OfferedImage[]> {
  const { store, recipes } = catalogue;
  const names = new Set([...(await recipeNames(recipes)), ...(await storedNames(store))]);
  const offers = await readOffers(store, catalogue.sources ?? []);
  const found: OfferedImage[] = [];
  for (const name of [...names].sort()) {
    const own = await ofName(catalogue, name).catch(() => []);
    found.push(...own, ...byOtherNames(own[0], { offers, names }));
  }
  return found;
}

/** What a name means, by the names that mean it as well: those that mean nothing else here. */
function byOtherNames(
  means: OfferedImage | undefined,
  { offers, names }: { readonly offers: Offers; readonly names: ReadonlySet<string> },
): readonly OfferedImage[] {
  if (means === undefined) return [];
  const { aliases = [] } = offers.find(means.name)?.image ?? {};
  return aliases
    .filter((alias) => !names.has(alias) && offers.find(alias)?.image.name === means.name)
    .map((name) => ({ ...means, name }));
}

async function ofName(catalogue: ImagePlaces, name: string): Promise<readonly OfferedImage[]> {
  const { store, recipes } = catalogue;
  const [recipe, entry] = [await findRecipe(recipes, name), await readEntry(store, name)];
  const fresh = recipe === undefined ? entry?.current : await freshDigest(catalogue, recipe);
  const offered: OfferedImage[] = [];
  if (fresh !== undefined) offered.push(await stored(store, fresh));
  else if (recipe !== undefined) offered.push(toMake(recipe));
  for (const [version, digest] of Object.entries(entry?.versions ?? {})) {
    if (version !== offered[0]?.version) offered.push(await stored(store, digest));
  }
  return offered;
}

async function stored(store: string, digest: string): Promise<OfferedImage> {
  const { name, version, memoryMiBMin } = await readManifest(imageFolder(store, digest), digest);
  return { name, version, digest, memoryMiBMin };
}

function toMake({ name, version, memoryMiBMin }: OfferedImage): OfferedImage {
  return { name, version, ...(memoryMiBMin === undefined ? {} : { memoryMiBMin }) };
}

import type { ImagePlaces } from "#host/images/image-places.ts";
import { readEntry } from "#host/images/store/entry.ts";
import { findRecipe, type Recipe } from "./recipe.ts";

/** The stored digest of a recipe whose folder, and those of all recipes below it, are as they were when it was built. */
export async function freshDigest(
  catalogue: ImagePlaces,
  recipe: Recipe,
): Promise<string | undefined> {
  const entry = await readEntry(catalogue.store, recipe.name);
  if (entry === undefined || entry.recipe !== recipe.hash) return undefined;
  if (recipe.from === undefined) return entry.current;
  const base = await findRecipe(catalogue.recipes, recipe.from);
  // An image may have come here without a recipe.
  const baseDigest =
    base === undefined
      ? (await readEntry(catalogue.store, recipe.from))?.current
      : await freshDigest(catalogue, base);
  return baseDigest !== undefined && baseDigest === entry.base ? entry.current : undefined;
}

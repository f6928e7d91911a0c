import type { Fault } from "#job/fault.ts";
import { recipeNames } from "./build/recipe.ts";
import { type Offers, readOffers } from "./follow/offers.ts";
import type { ImagePlaces } from "./image-places.ts";
import { unknownImage } from "./reference.ts";
import { storedNames } from "./store/entry.ts";
import type { Work } from "./work.ts";

/** Every name that means something here, or would, sorted. */
async function knownNames(
  { store, recipes }: ImagePlaces,
  { all }: Offers,
): Promise<readonly string[]> {
  const offered = all.flatMap(({ image }) => [image.name, ...(image.aliases ?? [])]);
  const known = new Set([
    ...(await recipeNames(recipes)),
    ...(await storedNames(store)),
    ...offered,
  ]);
  return [...known].sort();
}

/** The fault of a reference that leads nowhere on this host; a catalogue that offers nothing for now may be why. */
export async function unknown({ places }: Work, text: string, ...why: string[]): Promise<Fault> {
  const offers = await readOffers(places.store, places.sources ?? []);
  return unknownImage(text, [...why, ...offers.troubles], await knownNames(places, offers));
}

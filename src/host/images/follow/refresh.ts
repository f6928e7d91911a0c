import { recipeNames } from "#host/images/build/recipe.ts";
import { findOffer } from "#host/images/resolve.ts";
import { readEntry, storedNames } from "#host/images/store/entry.ts";
import { translated } from "#host/images/translated.ts";
import type { Work } from "#host/images/work.ts";
import { Fault } from "#job/fault.ts";
import { bringUpToDate, type Refreshed } from "./bring-up-to-date.ts";
import { type Followed, followAll } from "./follow-catalogue.ts";
import { type Offer, readOffers } from "./offers.ts";

export type RefreshReport = {
  readonly catalogues: readonly Followed[];
  readonly images: readonly Refreshed[];
  /** What is wrong with what was taken before, for people. */
  readonly troubles: readonly string[];
};

/**
 * Follows every catalogue, then brings each name that is wanted up to date: `names`, and those that are here already. One catalogue's or
 * one name's trouble does not hold up the next. Twice is safe. Throws host-disk-full, or the signal's reason.
 */
export async function refreshImages(work: Work, names: readonly string[]): Promise<RefreshReport> {
  const { places } = work;
  const { store, sources = [] } = places;
  const catalogues = await followAll(work);
  const { troubles } = await readOffers(store, sources);
  const images: Refreshed[] = [];
  for (const [name, offer] of await wantedOffers(work, names))
    images.push(await refreshOne(work, name, offer));
  return { catalogues, images, troubles };
}

/** What is to be looked at, by the images' own names; undefined for what somebody asked for and no catalogue has. */
async function wantedOffers(
  { places }: Work,
  names: readonly string[],
): Promise<ReadonlyMap<string, Offer | undefined>> {
  const made = new Set(await recipeNames(places.recipes));
  const wanted = new Map<string, Offer | undefined>();
  for (const asked of [...names, ...(await storedNames(places.store))]) {
    const offer = await findOffer(places, asked);
    const name = offer?.image.name ?? asked;
    // Where there is a recipe, the name means what that makes.
    if (made.has(asked) || made.has(name)) continue;
    if (offer !== undefined || names.includes(asked)) wanted.set(name, offer);
  }
  return wanted;
}

async function refreshOne(work: Work, name: string, offer: Offer | undefined): Promise<Refreshed> {
  const { places, signal } = work;
  try {
    if (offer === undefined)
      throw new Fault("image-unknown", "no catalogue that this host follows offers it");
    return await translated(signal, () => bringUpToDate(work, offer));
  } catch (error) {
    signal.throwIfAborted();
    const fault = Fault.from(error);
    if (fault.code === "host-disk-full") throw fault;
    const digest = (await readEntry(places.store, name))?.current;
    return { name, outcome: "failed", digest, says: fault.message, found: [] };
  }
}

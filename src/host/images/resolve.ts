import type { Image } from "#host/runner/ports.ts";
import { Fault } from "#job/fault.ts";
import { type ImageReference, parseImageReference } from "#job/image-reference.ts";
import { findRecipe, type Recipe } from "./build/recipe.ts";
import { upToDate } from "./build/up-to-date.ts";
import type { CatalogueVersion } from "./catalogue/document-schema.ts";
import { deprecation, type Offer, readOffers, versionOf } from "./follow/offers.ts";
import { unknown } from "./known-images.ts";
import { digestIn, type Entry, readEntry } from "./store/entry.ts";
import { imageFolder } from "./store/layout.ts";
import { readManifest } from "./store/manifest.ts";
import { openSealed } from "./store/seal.ts";
import { openWhole } from "./whole-image.ts";
import type { Work } from "./work.ts";

/**
 * The image that a reference means on this host. A name means what its recipe makes; without one, what it was last found good to mean; and
 * one that is not here yet, what the first catalogue that has it offers. What is missing is built, or fetched and tried out.
 */
export async function resolveImage(work: Work, text: string): Promise<Image> {
  const reference = parseImageReference(text);
  if (reference === undefined)
    throw await unknown(work, text, "write name, name:version or name@sha256:<64 hex digits>");
  if (reference.digest !== undefined) return await byDigest(work, text, reference.digest);
  const recipe = await recipeOf(work, reference.name);
  if (recipe !== undefined) return await ofRecipe(work, text, { reference, recipe });
  return await ofName(work, text, reference);
}

/** The recipe that a name means, be it another name that a catalogue has for a recipe's image. */
async function recipeOf({ places }: Work, name: string): Promise<Recipe | undefined> {
  const recipe = await findRecipe(places.recipes, name);
  if (recipe !== undefined) return recipe;
  const offer = await findOffer(places, name);
  return offer && (await findRecipe(places.recipes, offer.image.name));
}

/** The catalogue's image of a name, unless this host has an image of just that name from elsewhere. */
export async function findOffer(
  { store, sources = [] }: Work["places"],
  name: string,
): Promise<Offer | undefined> {
  const offer = (await readOffers(store, sources)).find(name);
  const isAlias = offer !== undefined && offer.image.name !== name;
  return isAlias && (await readEntry(store, name)) !== undefined ? undefined : offer;
}

async function ofRecipe(
  work: Work,
  text: string,
  { reference, recipe }: { readonly reference: ImageReference; readonly recipe: Recipe },
): Promise<Image> {
  const { store } = work.places;
  const { version } = reference;
  if (version === undefined || version === recipe.version) return await upToDate(work, recipe, []);
  // One that the recipe no longer makes, and the store still has.
  const entry = await readEntry(store, recipe.name);
  const older = digestIn(entry, version);
  if (older !== undefined) return await openSealed(store, older, work.signal);
  throw await unknown(work, text, versionsHere([recipe.version, ...versionsOf(entry)]));
}

async function ofName(work: Work, text: string, reference: ImageReference): Promise<Image> {
  const { store } = work.places;
  const offer = await findOffer(work.places, reference.name);
  const entry = await readEntry(store, offer?.image.name ?? reference.name);
  if (offer === undefined && entry === undefined) throw await unknown(work, text);
  const says = offer && deprecation(offer);
  if (says !== undefined) work.onProgress(says);
  const { version } = reference;
  if (version !== undefined) return await ofVersion(work, text, { version, offer, entry });
  const { current } = entry ?? {};
  const stored = await openWhole(work, current);
  const offered = offer?.image.versions.find(({ digest }) => digest === current);
  const gone = offered && withdrawal(offered, reference.name);
  if (gone !== undefined) work.onProgress(gone);
  if (stored !== undefined) return stored;
  // Without an offer there is an entry.
  if (offer === undefined) return await openSealed(store, current as string, work.signal);
  return offered !== undefined && gone === undefined
    ? await obtainOffered(work, offer, offered)
    : await firstOf(work, offer);
}

type Known = { readonly offer: Offer | undefined; readonly entry: Entry | undefined };

async function ofVersion(
  work: Work,
  text: string,
  { version, offer, entry }: Known & { readonly version: string },
): Promise<Image> {
  const { store } = work.places;
  const known = digestIn(entry, version);
  const offered = offer && versionOf(offer, version);
  if (offer !== undefined && offered !== undefined && (known ?? offered.digest) === offered.digest)
    return await pinned(work, offer, offered);
  if (known !== undefined) return await openSealed(store, known, work.signal);
  const ofOffer = offer?.image.versions.map((one) => one.version) ?? [];
  throw await unknown(work, text, versionsHere([...versionsOf(entry), ...ofOffer]));
}

/** Who names a version gets it, tried out or not; but none that is withdrawn, unless it is here. */
async function pinned(work: Work, offer: Offer, version: CatalogueVersion): Promise<Image> {
  const says = withdrawal(version, offer.image.name);
  const stored = await openWhole(work, version.digest);
  if (says !== undefined && stored === undefined) throw new Fault("image-refused", says);
  if (says !== undefined) work.onProgress(says);
  return stored ?? (await obtainOffered(work, offer, version));
}

/** A name that means nothing here yet, or nothing that is still here. */
async function firstOf(work: Work, offer: Offer): Promise<Image> {
  const { bringUpToDate } = await import("./follow/bring-up-to-date.ts");
  const { outcome, digest, says } = await bringUpToDate(work, offer);
  const found = await openWhole(work, digest);
  if (found !== undefined) return found;
  // The host was full or at fault: another one, or a later attempt, may do better.
  const code = outcome === "skipped" ? "image-fetch-failed" : "image-refused";
  throw new Fault(code, `image ${offer.image.name}: ${says}`);
}

async function byDigest(work: Work, text: string, digest: string): Promise<Image> {
  const { store } = work.places;
  const { name } = parseImageReference(text) ?? { name: "" };
  const offer = await findOffer(work.places, name);
  const offered = offer?.image.versions.find((one) => one.digest === digest);
  if (offer !== undefined && offered !== undefined) return await pinned(work, offer, offered);
  const stored = await openWhole(work, digest);
  if (stored === undefined)
    throw await unknown(work, text, "this digest is not in this host's store, or damaged there");
  const manifest = await readManifest(imageFolder(store, digest), digest);
  if (manifest.name !== (offer?.image.name ?? name))
    throw await unknown(work, text, `this digest is of image ${manifest.name}`);
  return stored;
}

/** What people are told who use a version that its catalogue took back; undefined when it did not. */
function withdrawal({ version, withdrawn }: CatalogueVersion, name: string): string | undefined {
  return withdrawn === undefined
    ? undefined
    : `image ${name}:${version} is withdrawn: ${withdrawn}`;
}

function versionsOf(entry: Entry | undefined): readonly string[] {
  return Object.keys(entry?.versions ?? {});
}

function versionsHere(versions: readonly string[]): string {
  return `versions here: ${[...new Set(versions)].join(", ")}`;
}

/** What fetches is loaded when something is to be fetched: most jobs are of images that are here. */
async function obtainOffered(work: Work, offer: Offer, version: CatalogueVersion): Promise<Image> {
  const { obtainVersion } = await import("./follow/bring-up-to-date.ts");
  return await obtainVersion(work, offer, version);
}

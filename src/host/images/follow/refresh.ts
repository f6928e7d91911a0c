import { findRecipe } from "#host/images/build/recipe.ts";
import type { CatalogueVersion } from "#host/images/catalogue/document-schema.ts";
import type { ImagePlaces } from "#host/images/image-places.ts";
import { readEntry, storedNames } from "#host/images/store/entry.ts";
import { readSmoke } from "#host/images/store/facts.ts";
import { lockName } from "#host/images/store/layout.ts";
import type { TryOut } from "#host/runner/ports.ts";
import { Fault } from "#job/fault.ts";
import { type Followed, followCatalogue } from "./follow-catalogue.ts";
import { type ImageLimits, type ObtainProgress, obtain } from "./obtain.ts";
import { type Offer, readOffers, usable } from "./offers.ts";
import type { FollowedSource } from "./source.ts";
import { smokeImage, switchName } from "./try-out.ts";

/** What a refresh works with. */
export type RefreshParts = {
  readonly place: ImagePlaces;
  readonly sources: readonly FollowedSource[];
  readonly limits: ImageLimits;
  readonly tryOut: TryOut;
};

/** What came of one name. */
export type Refreshed = {
  readonly name: string;
  readonly outcome: "switched" | "unchanged" | "failed" | "skipped";
  /** What the name means now; undefined while it means nothing here. */
  readonly digest: string | undefined;
  /** What there is to say, for people. */
  readonly says: string;
};

export type RefreshReport = {
  readonly catalogues: readonly Followed[];
  readonly images: readonly Refreshed[];
  readonly troubles: readonly string[];
};

/**
 * Follows every catalogue, then brings each name that is wanted (`names`, and those that are here already) up to date: the newest version
 * that is not withdrawn and has not failed here is fetched, tried out, and only then meant by its name. One name's trouble does not
 * hold up the next. Twice is safe. Throws host-disk-full, or the signal's reason.
 */
export async function refreshImages(
  parts: RefreshParts,
  names: readonly string[],
  progress: ObtainProgress,
  signal: AbortSignal,
): Promise<RefreshReport> {
  const { place, sources } = parts;
  const catalogues: Followed[] = [];
  for (const source of sources) {
    progress.onProgress(`asking ${source.address}`);
    catalogues.push(await followCatalogue(place.store, source, signal));
  }
  const offers = await readOffers(place.store, sources);
  const wanted = new Map<string, Offer | undefined>();
  for (const name of [...names, ...(await storedNames(place.store))]) {
    const offer = offers.find(name);
    const isAsked = names.includes(name);
    if (offer !== undefined || isAsked) wanted.set(offer?.image.name ?? name, offer);
  }
  const images: Refreshed[] = [];
  for (const [name, offer] of wanted) {
    const refreshed = await refreshOne(parts, { name, offer }, progress, signal);
    if (refreshed !== undefined) images.push(refreshed);
  }
  return { catalogues, images, troubles: offers.troubles };
}

async function refreshOne(
  parts: RefreshParts,
  { name, offer }: { readonly name: string; readonly offer: Offer | undefined },
  progress: ObtainProgress,
  signal: AbortSignal,
): Promise<Refreshed | undefined> {
  const { store, recipes } = parts.place;
  // Its recipe is what the name means here.
  if ((await findRecipe(recipes, name)) !== undefined) return undefined;
  const tell = (line: string) => progress.onProgress(`image ${name}: ${line}`);
  try {
    if (offer === undefined)
      throw new Fault("image-unknown", "no catalogue that this host follows offers it");
    return await bringUpToDate(parts, offer, { ...progress, onProgress: tell }, signal);
  } catch (error) {
    signal.throwIfAborted();
    const fault = Fault.from(error);
    if (fault.code === "host-disk-full") throw fault;
    const digest = (await readEntry(store, name))?.current;
    return { name, outcome: "failed", digest, says: fault.message };
  }
}

/** The newest version that is good here becomes what its image's name means. */
export async function bringUpToDate(
  { place, limits, tryOut }: Omit<RefreshParts, "sources">,
  offer: Offer,
  progress: ObtainProgress,
  signal: AbortSignal,
): Promise<Refreshed> {
  const { store } = place;
  const { name } = offer.image;
  const { onProgress } = progress;
  using _ = await lockName(store, name, {
    onWait: () => onProgress("waiting for another process that is at this image"),
    signal,
  });
  const failures: string[] = [];
  for (const version of usable(offer)) {
    const { current } = (await readEntry(store, name)) ?? {};
    const smoke = await readSmoke(store, version.digest);
    if (smoke?.outcome === "failed") {
      failures.push(`${version.version} failed its smoke boot: ${smoke.why ?? ""}`);
      continue;
    }
    const isProven = current === version.digest && smoke?.outcome === "passed";
    const image = await obtain({ store, limits }, offer, version, progress, signal);
    const is = { name, digest: version.digest };
    if (isProven)
      return { ...is, outcome: "unchanged", says: said(`is ${version.version}`, failures) };
    const outcome = await smokeImage({ store, tryOut }, image, onProgress, signal);
    if (outcome.kind === "skipped")
      return {
        name,
        outcome: "skipped",
        digest: current,
        says: `${version.version} could not be tried out: ${outcome.why}`,
      };
    if (outcome.kind === "passed") {
      await switchName(store, image, "passed");
      return { ...is, outcome: "switched", says: said(`is ${version.version} now`, failures) };
    }
    onProgress(`${version.version} failed its smoke boot: ${outcome.why}`);
    failures.push(`${version.version} failed its smoke boot: ${outcome.why}`);
  }
  const { current } = (await readEntry(store, name)) ?? {};
  return { name, outcome: "failed", digest: current, says: noneGood(offer, failures) };
}

function said(what: string, failures: readonly string[]): string {
  return [what, ...failures].join("; ");
}

function noneGood({ image }: Offer, failures: readonly string[]): string {
  const withdrawn = image.versions.length - failures.length;
  const others = withdrawn === 0 ? [] : [`${withdrawn} are withdrawn`];
  return `no version is good here: ${[...failures, ...others].join("; ")}`;
}

/** A version by its name; undefined when its catalogue has none. Withdrawn ones too, for who names one. */
export function versionOf(offer: Offer, version: string): CatalogueVersion | undefined {
  return offer.image.versions.find((one) => one.version === version);
}

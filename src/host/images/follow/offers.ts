import type { CatalogueImage, CatalogueVersion } from "#host/images/catalogue/document-schema.ts";
import type { FollowedSource } from "./source.ts";

/** An image that a followed catalogue offers. */
export type Offer = {
  readonly source: FollowedSource;
  /** The catalogue's name. */
  readonly catalogue: string;
  readonly image: CatalogueImage;
};

/** What this host's catalogues say now, as they were taken last. */
export type Offers = {
  /** The image of a name or an alias, of the first catalogue that has it. */
  find(name: string): Offer | undefined;
  readonly all: readonly Offer[];
  /** Why a catalogue that is configured offers nothing, or less than it should; for people. */
  readonly troubles: readonly string[];
};

/**
 * Reads what was taken of each catalogue, in the order of the configuration. Asks nobody. One that has expired since, or whose key the
 * admin no longer trusts, offers nothing.
 */
export async function readOffers(
  store: string,
  sources: readonly FollowedSource[],
  nowMs = Date.now(),
): Promise<Offers> {
  if (sources.length === 0) return offersOf([], []);
  // Only now: most hosts follow none, and should not compile a schema at each start.
  const { readCatalogues } = await import("#host/images/catalogue/catalogue-state.ts");
  const { whyNoLongerGood } = await import("#host/images/catalogue/trust.ts");
  const { states, damage } = await readCatalogues(store);
  const troubles = [...damage];
  const all = sources.flatMap((source): readonly Offer[] => {
    const state = states.find(({ seen }) => seen.source === source.address);
    if (state?.good === undefined) {
      troubles.push(
        `the catalogue at ${source.address} was not taken yet: run 'testbed image refresh'`,
      );
      return [];
    }
    const { document } = state.good;
    const why = whyNoLongerGood(state.good, source, nowMs);
    if (why !== undefined) {
      troubles.push(`the catalogue ${document.name} from ${source.address} ${why}`);
      return [];
    }
    return document.images.map((image) => ({ source, catalogue: document.name, image }));
  });
  return offersOf(all, troubles);
}

function offersOf(all: readonly Offer[], troubles: readonly string[]): Offers {
  return {
    all,
    troubles,
    find: (name) =>
      all.find(({ image }) => image.name === name) ??
      all.find(({ image }) => image.aliases?.includes(name)),
  };
}

/** The versions that may be used, the newest first. */
export function usable({ image }: Offer): readonly CatalogueVersion[] {
  return image.versions.filter(({ withdrawn }) => withdrawn === undefined);
}

/** What people are told who use an image that its catalogue wants to be rid of; undefined when it does not. */
export function deprecation({ image }: Offer, nowMs = Date.now()): string | undefined {
  const { name, deprecated } = image;
  if (deprecated === undefined) return undefined;
  const isPast = Date.parse(`${deprecated.on}T00:00:00Z`) <= nowMs;
  const instead = deprecated.use === undefined ? "" : `; use ${deprecated.use}`;
  return `image ${name} ${isPast ? "is deprecated since" : "will be deprecated on"} ${deprecated.on}${instead}`;
}

/** A version by its name, a withdrawn one too; undefined when its catalogue has none. */
export function versionOf({ image }: Offer, version: string): CatalogueVersion | undefined {
  return image.versions.find((one) => one.version === version);
}

/** Something that a catalogue offers and this host has not. */
export type Absent = {
  readonly name: string;
  readonly version: string;
  readonly digest: string;
  readonly catalogue: string;
  /** What there is to say of the image as a whole, for people. */
  readonly deprecation: string | undefined;
};

/** The newest version of each image that may be used, where it is not among the digests that are here. */
export function absent(offers: Offers, here: ReadonlySet<string>): readonly Absent[] {
  return offers.all.flatMap((offer) => {
    const [newest] = usable(offer);
    if (newest === undefined || here.has(newest.digest)) return [];
    const { version, digest } = newest;
    const { catalogue, image } = offer;
    return [{ name: image.name, version, digest, catalogue, deprecation: deprecation(offer) }];
  });
}

import { findRecipe } from "#host/images/build/recipe.ts";
import type { CatalogueVersion } from "#host/images/catalogue/document-schema.ts";
import { findOffer, resolveImage } from "#host/images/resolve.ts";
import { readEntry } from "#host/images/store/entry.ts";
import { readSmoke } from "#host/images/store/facts.ts";
import { lockName } from "#host/images/store/layout.ts";
import type { Work } from "#host/images/work.ts";
import type { Image } from "#host/runner/ports.ts";
import { toldOf } from "./bring-up-to-date.ts";
import { type SmokeOutcome, smokeImage } from "./smoke-image.ts";
import { type Switched, switchName } from "./switch-name.ts";

/** A smoke boot that somebody asked for, and what came of it. */
export type Trial = {
  readonly image: Image;
  readonly outcome: SmokeOutcome;
  readonly means: Switched;
};

/**
 * A smoke boot of the image that a reference means. What its name means follows from it: the newest that is good. But for an image of a
 * recipe, that is what its name means in any case. Throws like `resolve`.
 */
export async function trySmoke(asked: Work, reference: string): Promise<Trial> {
  const image = await resolveImage(asked, reference);
  const work = toldOf(asked, image.name);
  const { places, onProgress, signal } = work;
  using _ = await lockName(places.store, image.name, {
    onWait: () => onProgress("waiting for another process that is at this image"),
    signal,
  });
  const outcome = await smokeImage(work, image);
  const stays =
    (await findRecipe(places.recipes, image.name)) !== undefined ||
    (outcome.kind === "passed" && (await isPassedOver(work, image)));
  const means = stays ? "unchanged" : await switchName(places.store, image, outcome.kind);
  return { image, outcome, means };
}

/** Whether a name does not come to mean a good image: its catalogue took it back, or what the name means is newer and good as well. */
async function isPassedOver({ places }: Work, { name, digest }: Image): Promise<boolean> {
  const versions = (await findOffer(places, name))?.image.versions ?? [];
  const at = versions.findIndex((one) => one.digest === digest);
  if (at < 0) return false;
  if (versions[at]?.withdrawn !== undefined) return true;
  const current = (await readEntry(places.store, name))?.current;
  const isNewer = ({ digest: other, withdrawn }: CatalogueVersion) =>
    other === current && withdrawn === undefined;
  if (current === undefined || !versions.slice(0, at).some(isNewer)) return false;
  return (await readSmoke(places.store, current))?.outcome !== "failed";
}

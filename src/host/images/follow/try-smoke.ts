import { findRecipe } from "#host/images/build/recipe.ts";
import { resolveImage } from "#host/images/resolve.ts";
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
 * A smoke boot of the image that a reference means. What its name means follows from it, but for an image of a recipe: that is what its
 * name means in any case. Throws like `resolve`.
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
  const hasRecipe = (await findRecipe(places.recipes, image.name)) !== undefined;
  const means = hasRecipe ? "unchanged" : await switchName(places.store, image, outcome.kind);
  return { image, outcome, means };
}

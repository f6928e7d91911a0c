import { join } from "node:path";
import { type LocalImages, localImages } from "#host/images/local-images.ts";
import { FIXTURE_IMAGES, ROOT, TEST_STATE } from "./house.ts";

/** The image store that all tests with machines share, with the images that ship and those that misbehave. */
export function realImages(): LocalImages {
  return localImages({
    store: join(TEST_STATE, "images"),
    recipes: [FIXTURE_IMAGES, join(ROOT, "images")],
  });
}

import type { Derive, TryOut } from "#host/runner/ports.ts";
import { Fault } from "#job/fault.ts";
import type { ImagePlaces } from "./image-places.ts";

/**
 * What makes a stored image out of date. `recipe`: the recipe folder changed, here or in the image that it begins with;
 * costs a millisecond. `packages`: also newer Debian packages; asks apt. `always`: build whatever is there.
 */
export type Freshness = "recipe" | "packages" | "always";

/** Machines of this host, for images that are made or tried out in one. */
export type Machines = {
  readonly derive: Derive;
  readonly tryOut: TryOut;
};

/** Something that is asked of the images of a host, with all that it takes. */
export type Work = {
  readonly places: ImagePlaces;
  readonly machines: Machines;
  readonly freshness: Freshness;
  readonly onProgress: (line: string) => void;
  /** Called often while something is fetched: bytes so far, and of how many. */
  readonly onBytes: (done: number, all: number) => void;
  readonly signal: AbortSignal;
};

/** Of a process that has none: what needs one is refused. */
export const NO_MACHINES: Machines = {
  derive: async () => {
    throw new Fault("image-build-failed", "there are no machines here to derive an image in");
  },
  tryOut: async () => ({
    kind: "skipped",
    why: "there are no machines here to try an image out in",
  }),
};

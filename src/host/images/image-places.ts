import type { FollowedSource } from "./follow/source.ts";
import type { ImageLimits } from "./image-limits.ts";
import type { ListDisks } from "./store/in-use.ts";

/** Where a host keeps images, and where their recipes are. */
export type ImagePlaces = {
  /** The store's folder, absolute; made when missing. QEMU's user must be able to pass through its parents. */
  readonly store: string;
  /** Folders of recipe folders, absolute, the first that has a name wins. */
  readonly recipes: readonly string[];
  /** Signed catalogues, the first that has a name wins; those of recipes go before. Default: none. */
  readonly sources?: readonly FollowedSource[];
  /** What no image from elsewhere may exceed. */
  readonly limits?: ImageLimits;
  /** Lists the disks that may stand on images of the store: none is taken away under its machine. Default: there are none. */
  readonly listDisks?: ListDisks;
};

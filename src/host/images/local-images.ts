import type { Image, Images } from "#host/runner/ports.ts";
import type { ObtainProgress } from "./follow/obtain.ts";
import type { RefreshReport } from "./follow/refresh.ts";
import type { Trial } from "./follow/try-smoke.ts";
import type { ImagePlaces } from "./image-places.ts";
import { type OfferedImage, offeredImages } from "./offered-images.ts";
import { resolveImage } from "./resolve.ts";
import { touchUsed } from "./store/facts.ts";
import { holdImage } from "./store/holds.ts";
import { writeOverlay } from "./store/overlay.ts";
import { translated } from "./translated.ts";
import { type Freshness, type Machines, NO_MACHINES, type Work } from "./work.ts";

/** The images of this host; and what `testbed image` and the daemon ask for. */
export type LocalImages = Images & {
  /** What this host has or can make, the newest of a name first. */
  offered(): Promise<readonly OfferedImage[]>;

  /** Builds an image when it is out of date and returns what its name means then. Throws like `resolve`. */
  build(
    name: string,
    freshness: Freshness,
    progress: { onProgress: (line: string) => void; signal: AbortSignal },
  ): Promise<Image>;

  /** Follows the catalogues: see `refreshImages`. */
  refresh(
    names: readonly string[],
    progress: ObtainProgress,
    signal: AbortSignal,
  ): Promise<RefreshReport>;

  /** Brings an image of a catalogue into the store, without its name meaning it: see `fetchImage`. */
  fetch(reference: string, progress: ObtainProgress, signal: AbortSignal): Promise<Image>;

  /** Tries a stored image out, and lets its name mean what is good: see `trySmoke`. */
  smoke(reference: string, onProgress: (line: string) => void, signal: AbortSignal): Promise<Trial>;
};

const silently = () => undefined;

/**
 * Opens the images of this host. Touches nothing until it is asked for one; keeps nothing in memory. `machines` are asked for when an
 * image is made or tried out in one.
 */
export function localImages(places: ImagePlaces, machines: Partial<Machines> = {}): LocalImages {
  const { store } = places;
  const workOf = (progress: Partial<ObtainProgress>, signal: AbortSignal): Work => ({
    places,
    machines: { ...NO_MACHINES, ...machines },
    freshness: "recipe",
    onProgress: silently,
    onBytes: silently,
    ...progress,
    signal,
  });
  return {
    resolve: (reference, onProgress, signal) =>
      translated(signal, async () => {
        const image = await resolveImage(workOf({ onProgress }, signal), reference);
        await touchUsed(store, image.digest);
        return image;
      }),
    hold: (image, signal) =>
      translated(signal, () => holdImage(store, image.digest, "attempt", signal)),
    overlay: (image, path, diskMiB, signal) =>
      translated(signal, () => writeOverlay(image, path, diskMiB)),
    offered: () => offeredImages(places),
    build: (name, freshness, { onProgress, signal }) =>
      translated(signal, () => {
        const work: Work = { ...workOf({ onProgress }, signal), freshness };
        return resolveImage(work, name);
      }),
    refresh: (names, progress, signal) =>
      translated(signal, async () => {
        const { refreshImages } = await import("./follow/refresh.ts");
        return await refreshImages(workOf(progress, signal), names);
      }),
    fetch: (reference, progress, signal) =>
      translated(signal, async () => {
        const { fetchImage } = await import("./follow/fetch-image.ts");
        return await fetchImage(workOf(progress, signal), reference);
      }),
    smoke: (reference, onProgress, signal) =>
      translated(signal, async () => {
        const { trySmoke } = await import("./follow/try-smoke.ts");
        return await trySmoke(workOf({ onProgress }, signal), reference);
      }),
  };
}

import { Fault } from "#job/fault.ts";
import type { Image, Images } from "./ports.ts";

/** Between being found and being held an image may be pruned: then it is looked for again, so often. */
const TRIES = 3;

/**
 * The image that a reference means, held until `scope` unwinds: neither pruned nor set aside before. Throws what `resolve`
 * throws.
 */
export async function resolveHeld(
  { images, scope }: { images: Images; scope: AsyncDisposableStack },
  reference: string,
  onProgress: (line: string) => void,
  signal: AbortSignal,
): Promise<Image> {
  for (let tries = 0; tries < TRIES; tries += 1) {
    const image = await images.resolve(reference, onProgress, signal);
    const hold = await images.hold(image, signal);
    if (hold === undefined) continue;
    scope.use(hold);
    return image;
  }
  throw new Fault(
    "image-damaged",
    `image ${reference} is removed from the store as often as it is found there`,
  );
}

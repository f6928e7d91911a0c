import { unknown } from "#host/images/known-images.ts";
import { findOffer, resolveImage } from "#host/images/resolve.ts";
import type { Work } from "#host/images/work.ts";
import type { Image } from "#host/runner/ports.ts";
import { Fault } from "#job/fault.ts";
import { parseImageReference } from "#job/image-reference.ts";
import { obtainVersion } from "./bring-up-to-date.ts";
import { followAll } from "./follow-catalogue.ts";
import { usable } from "./offers.ts";

/**
 * Brings the image that a reference means to its catalogue into the store: for a bare name the newest version that is not withdrawn, tried
 * out or not. The catalogues are asked what they have now; one that is not to be had, or refused, offers what it offered before. What the name
 * means here does not change. Throws like `resolve`.
 */
export async function fetchImage(work: Work, text: string): Promise<Image> {
  const reference = parseImageReference(text);
  for (const followed of await followAll(work))
    if ("why" in followed) work.onProgress(`${followed.outcome}: ${followed.why}`);
  const isBare = reference?.version === undefined && reference?.digest === undefined;
  if (reference === undefined || !isBare) return await resolveImage(work, text);
  const offer = await findOffer(work.places, reference.name);
  if (offer === undefined)
    throw await unknown(work, text, "no catalogue that this host follows offers it");
  const [newest] = usable(offer);
  if (newest !== undefined) return await obtainVersion(work, offer, newest);
  throw new Fault("image-refused", `every version of ${offer.image.name} is withdrawn`);
}

import { noteSmoke, type Smoke } from "#host/images/store/facts.ts";
import { holdImage } from "#host/images/store/holds.ts";
import type { Work } from "#host/images/work.ts";
import type { Image } from "#host/runner/ports.ts";

/** How a smoke boot ended here. `skipped` says nothing of the image: the host was full, or at fault itself. */
export type SmokeOutcome =
  | { readonly kind: "passed" }
  | { readonly kind: "failed" | "skipped"; readonly why: string };

const WHY_CHARACTERS_MAX = 2000;

/**
 * A smoke boot: a machine of the image has to become ready and run a small job. The outcome is noted as a fact of the image. Throws the
 * signal's reason.
 */
export async function smokeImage(
  { places, machines, onProgress, signal }: Work,
  image: Image,
): Promise<SmokeOutcome> {
  const { store } = places;
  await using hold = await holdImage(store, image.digest, "smoke", signal);
  if (hold === undefined) return { kind: "skipped", why: "it is gone from the store" };
  onProgress("smoke boot");
  const outcome = await machines.tryOut(image, onProgress, signal);
  signal.throwIfAborted();
  if (outcome.kind === "skipped") return outcome;
  const fact: Smoke = {
    outcome: outcome.kind,
    ...(outcome.kind === "failed" ? { why: outcome.why.slice(0, WHY_CHARACTERS_MAX) } : {}),
    at: new Date().toISOString(),
    acceleration: outcome.acceleration,
    image: `${image.name}:${image.version}`,
  };
  await noteSmoke(store, image.digest, fact);
  return outcome.kind === "failed" ? { kind: "failed", why: outcome.why } : { kind: "passed" };
}

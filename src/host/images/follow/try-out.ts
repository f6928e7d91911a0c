import { readEntry, withVersion, writeEntry } from "#host/images/store/entry.ts";
import { noteSmoke, readSmoke, type Smoke } from "#host/images/store/facts.ts";
import { holdImage } from "#host/images/store/holds.ts";
import type { Image, TryOut } from "#host/runner/ports.ts";

/** How a smoke boot ended here. `skipped` says nothing of the image: the host was full, or at fault itself. */
export type SmokeOutcome =
  | { readonly kind: "passed" }
  | { readonly kind: "failed" | "skipped"; readonly why: string };

/**
 * A smoke boot: a machine of the image has to become ready and run a small job. The outcome is noted as a fact of the image. Throws the
 * signal's reason.
 */
export async function smokeImage(
  { store, tryOut }: { readonly store: string; readonly tryOut: TryOut },
  image: Image,
  onProgress: (line: string) => void,
  signal: AbortSignal,
): Promise<SmokeOutcome> {
  await using hold = await holdImage(store, image.digest, "smoke", signal);
  if (hold === undefined) return { kind: "skipped", why: "it is gone from the store" };
  onProgress("smoke boot");
  const outcome = await tryOut(image, onProgress, signal);
  signal.throwIfAborted();
  if (outcome.kind === "skipped") return outcome;
  const why = outcome.kind === "failed" ? { why: outcome.why.slice(0, 2000) } : {};
  const smoke: Smoke = {
    outcome: outcome.kind,
    ...why,
    at: new Date().toISOString(),
    acceleration: outcome.acceleration,
    image: `${image.name}:${image.version}`,
  };
  await noteSmoke(store, image.digest, smoke);
  return outcome.kind === "failed" ? { kind: "failed", why: outcome.why } : { kind: "passed" };
}

/**
 * What a name means after a smoke boot of a version of it; the caller has the name's lock. One that passed is meant from now on. Where the
 * one that failed was meant, the name means again what it meant before, unless that failed as well.
 */
export async function switchName(
  store: string,
  { name, version, digest }: Pick<Image, "name" | "version" | "digest">,
  outcome: SmokeOutcome["kind"],
): Promise<"switched" | "unchanged" | "fell back" | "stuck"> {
  const entry = await readEntry(store, name);
  if (outcome === "passed") {
    if (entry?.current === digest) return "unchanged";
    await writeEntry(store, name, withVersion(entry, version, { digest, isCurrent: true }));
    return "switched";
  }
  if (outcome === "skipped" || entry?.current !== digest) return "unchanged";
  const { previous } = entry;
  if (previous === undefined || (await readSmoke(store, previous))?.outcome === "failed")
    return "stuck";
  await writeEntry(store, name, { ...entry, current: previous, previous: digest });
  return "fell back";
}

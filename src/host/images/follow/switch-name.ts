import { readEntry, withVersion, writeEntry } from "#host/images/store/entry.ts";
import { readSmoke } from "#host/images/store/facts.ts";
import type { Image } from "#host/runner/ports.ts";
import type { SmokeOutcome } from "./smoke-image.ts";

/** What a smoke boot did to a name. `stuck`: it means an image that failed, since there is no other that is good. */
export type Switched = "switched" | "unchanged" | "fell back" | "stuck";

/**
 * What a name means after a smoke boot of a version of it; the caller has the name's lock. One that passed is meant from now on. Where the
 * one that failed was meant, the name means again what it meant before, unless that failed as well.
 */
export async function switchName(
  store: string,
  { name, version, digest }: Pick<Image, "name" | "version" | "digest">,
  outcome: SmokeOutcome["kind"],
): Promise<Switched> {
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
  const { versions, order = [] } = entry;
  await writeEntry(store, name, {
    ...{ schema: 2, versions, order },
    ...{ current: previous, previous: digest },
  });
  return "fell back";
}

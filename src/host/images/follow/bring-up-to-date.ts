import type { CatalogueVersion } from "#host/images/catalogue/document-schema.ts";
import { readEntry } from "#host/images/store/entry.ts";
import { readSmoke } from "#host/images/store/facts.ts";
import { lockName } from "#host/images/store/layout.ts";
import type { Work } from "#host/images/work.ts";
import type { Image } from "#host/runner/ports.ts";
import { Fault } from "#job/fault.ts";
import type { FileLock } from "#lib/file-lock.ts";
import { obtain } from "./obtain.ts";
import { type Offer, usable } from "./offers.ts";
import { smokeImage } from "./smoke-image.ts";
import { switchName } from "./switch-name.ts";

/** What came of one name. */
export type Refreshed = {
  readonly name: string;
  readonly outcome: "switched" | "unchanged" | "failed" | "skipped";
  /** What the name means now; undefined while it means nothing here. */
  readonly digest: string | undefined;
  /** What there is to say, for people. */
  readonly says: string;
  /** What was found wrong just now with a version, whatever came of the name; what failed before is not said again. */
  readonly found: readonly string[];
};

/**
 * The newest version that is good here becomes what its image's name means: one that is not withdrawn and has not failed a smoke boot on
 * this host is fetched, tried out, and only then meant. Until then, and where none is good, the name means what it meant. Throws like
 * `obtain`, but for image-refused: then the next newest is looked at.
 */
export async function bringUpToDate(asked: Work, offer: Offer): Promise<Refreshed> {
  const { name } = offer.image;
  const work = toldOf(asked, name);
  const { store } = work.places;
  using _ = await lockOf(work, name);
  const failures: string[] = [];
  const found: string[] = [];
  const current = async () => (await readEntry(store, name))?.current;
  for (const version of usable(offer)) {
    const { digest } = version;
    const smoke = await readSmoke(store, digest);
    if (smoke?.outcome === "failed") {
      failures.push(failed(version, smoke.why ?? ""));
      continue;
    }
    const image = await obtain(work, offer, version).catch(unlessRefused);
    if (image instanceof Fault) {
      const says = `${version.version} is refused: ${image.message}`;
      failures.push(says);
      found.push(says);
      continue;
    }
    if (smoke?.outcome === "passed" && (await current()) === digest)
      return {
        name,
        digest,
        outcome: "unchanged",
        says: said(`means version ${version.version}`, failures),
        found,
      };
    const outcome = await smokeImage(work, image);
    if (outcome.kind === "passed") {
      await switchName(store, image, "passed");
      return {
        name,
        digest,
        outcome: "switched",
        says: said(`means version ${version.version} now`, failures),
        found,
      };
    }
    if (outcome.kind === "skipped") {
      const says = `${version.version} could not be tried out: ${outcome.why}`;
      return { name, digest: await current(), outcome: "skipped", says, found };
    }
    failures.push(failed(version, outcome.why));
    found.push(failed(version, outcome.why));
    work.onProgress(failed(version, outcome.why));
  }
  const says = noneGood(offer, failures);
  return { name, digest: await current(), outcome: "failed", says, found };
}

/** One version, for who named it, and for a store that lost it. */
export async function obtainVersion(
  asked: Work,
  offer: Offer,
  version: CatalogueVersion,
): Promise<Image> {
  const work = toldOf(asked, offer.image.name);
  using _ = await lockOf(work, offer.image.name);
  return await obtain(work, offer, version);
}

/** Work whose lines say which image they are about. */
export function toldOf(work: Work, name: string): Work {
  return { ...work, onProgress: (line) => work.onProgress(`image ${name}: ${line}`) };
}

async function lockOf({ places, onProgress, signal }: Work, name: string): Promise<FileLock> {
  const onWait = () => onProgress("waiting for another process that is at this image");
  return await lockName(places.store, name, { onWait, signal });
}

function unlessRefused(error: unknown): Fault {
  if (error instanceof Fault && error.code === "image-refused") return error;
  throw error;
}

function failed({ version }: CatalogueVersion, why: string): string {
  return `${version} failed its smoke boot: ${why}`;
}

function said(what: string, failures: readonly string[]): string {
  return [what, ...failures].join("; ");
}

function noneGood({ image }: Offer, failures: readonly string[]): string {
  const withdrawn = image.versions.length - failures.length;
  const others = withdrawn === 0 ? [] : [`${withdrawn} withdrawn`];
  return `no version is good here: ${[...failures, ...others].join("; ")}`;
}

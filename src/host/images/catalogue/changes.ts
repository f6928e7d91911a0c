import type { CatalogueImage, CatalogueVersion } from "./document-schema.ts";
import { CatalogueRefused } from "./refused.ts";

type Images = readonly CatalogueImage[];

/**
 * What is different between two documents' images, a line for each; empty when hosts would see no difference. Throws
 * `CatalogueRefused` when a version that was published would have another digest: hosts refuse such a catalogue.
 */
export function changesBetween(former: Images, next: Images): readonly string[] {
  const altered = alteredVersions(former, next);
  if (altered.length > 0)
    throw new CatalogueRefused(
      `${altered.join(", ")} would mean another image than in the catalogue.json that is there, and versions never change: give what is new a version of its own. If hosts have never seen this catalogue.json, put back the one that they have, or none`,
    );
  const [before, after] = [byName(former), byName(next)];
  const lines: string[] = [];
  for (const image of next) {
    const old = before.get(image.name);
    if (old === undefined) lines.push(`new image ${image.name}`);
    lines.push(...versionChanges(image, old));
    if (old !== undefined && isOtherwise(old, image)) lines.push(`changed image ${image.name}`);
  }
  for (const { name } of former) if (!after.has(name)) lines.push(`removed image ${name}`);
  if (lines.length === 0 && JSON.stringify(former) !== JSON.stringify(next))
    lines.push("another order");
  return lines;
}

function alteredVersions(former: Images, next: Images): readonly string[] {
  const digests = new Map(
    former.flatMap(({ name, versions }) =>
      versions.map(({ version, digest }) => [`${name}:${version}`, digest] as const),
    ),
  );
  return next.flatMap(({ name, versions }) =>
    versions
      .filter(({ version, digest }) => (digests.get(`${name}:${version}`) ?? digest) !== digest)
      .map(({ version }) => `${name}:${version}`),
  );
}

function versionChanges({ name, versions }: CatalogueImage, old: CatalogueImage | undefined) {
  const before = new Map(old?.versions.map((entry) => [entry.version, entry]));
  const lines: string[] = [];
  for (const entry of versions) {
    const was = before.get(entry.version);
    before.delete(entry.version);
    const what = changeOf(entry, was);
    if (what !== undefined) lines.push(`${what} ${name}:${entry.version}`);
  }
  return [...lines, ...[...before.keys()].map((version) => `removed version ${name}:${version}`)];
}

function changeOf(entry: CatalogueVersion, was: CatalogueVersion | undefined): string | undefined {
  if (was === undefined) return "new version";
  if (entry.withdrawn !== undefined && was.withdrawn === undefined) return "withdrew";
  return JSON.stringify(entry) === JSON.stringify(was) ? undefined : "changed";
}

/** By what it says of the image itself. */
function isOtherwise(old: CatalogueImage, image: CatalogueImage): boolean {
  const ofItself = ({ versions: _, ...more }: CatalogueImage) => JSON.stringify(more);
  return ofItself(old) !== ofItself(image);
}

function byName(images: Images): ReadonlyMap<string, CatalogueImage> {
  return new Map(images.map((image) => [image.name, image]));
}

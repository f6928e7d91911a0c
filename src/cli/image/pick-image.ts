import { UsageError } from "#cli/exit-code.ts";
import type { StoredImage } from "#host/images/store/inventory.ts";
import { parseImageReference } from "#job/image-reference.ts";
import { printable } from "#lib/printable.ts";
import { suggestion } from "#lib/suggestion.ts";

/** An image by a name of it: what people call it, and whether the bare name means it. */
export type NamedImage = {
  readonly image: StoredImage;
  readonly name: string;
  readonly version: string;
  readonly means: "current" | "previous" | "other";
};

/**
 * The images of a store by name, the newest version of each first. One that no name knows any more is there by what its own
 * manifest says; one whose manifest cannot be read has the name `?`.
 */
export function namedImages(images: readonly StoredImage[]): readonly NamedImage[] {
  const rows = images.flatMap((image) => {
    const known = image.versionOf.map(({ name, version, newer }) => ({ name, version, newer }));
    const { name = "?", version = "?" } = image.manifest ?? {};
    const all = known.length > 0 ? known : [{ name, version, newer: Number.MAX_SAFE_INTEGER }];
    return all.map((one) => ({ image, ...one, means: meansOf(image, one.name) }));
  });
  rows.sort((a, b) => (a.name < b.name ? -1 : Number(a.name > b.name)) || a.newer - b.newer);
  return rows;
}

function meansOf(image: StoredImage, name: string): NamedImage["means"] {
  if (image.currentOf.includes(name)) return "current";
  return image.previousOf.includes(name) ? "previous" : "other";
}

/** The stored image that a reference means; never builds one. Throws `UsageError` that says what there is. */
export function pickImage(images: readonly NamedImage[], text: string): NamedImage {
  const reference = parseImageReference(text);
  const fits = ({ image, version, means }: NamedImage) => {
    if (reference?.digest !== undefined) return image.digest === reference.digest;
    return reference?.version === undefined ? means === "current" : version === reference.version;
  };
  const found = images.find((one) => one.name === reference?.name && fits(one));
  if (found !== undefined) return found;
  const known = [...new Set(images.map(({ name }) => name))];
  const name = text.replace(/[:@].*$/s, "");
  const versions = images.filter((one) => one.name === name).map(({ version }) => version);
  const there =
    versions.length > 0
      ? `versions of ${name} in the store: ${versions.join(", ")}`
      : `in the store there is: ${known.join(", ") || "nothing"}`;
  const meant = known.includes(name) ? [] : suggestion(name, known);
  throw new UsageError([`no image '${printable(text, 100)}'`, ...meant, there].join("; "));
}

/** Who would miss it if it went away now. */
export function usersOf({ machines, heldFor }: StoredImage): readonly string[] {
  return [...machines, ...[...heldFor].map((purpose) => WORDS[purpose])];
}

const WORDS = {
  attempt: "a running attempt",
  smoke: "a smoke boot",
  build: "a build",
  copy: "an export",
} as const;

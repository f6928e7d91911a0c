/**
 * A catalogue, its signature, or a part of one is not taken. The message says what is wrong, after the place where there is
 * one, printable in one line: `images[3].versions[0].files.disk.sha256: is missing`. Of the file that an admin writes it says
 * all that is wrong, a line for each.
 */
export class CatalogueRefused extends Error {
  override readonly name = "CatalogueRefused";
}

/** `images[3].versions[0].files`, from keys and list positions; what wrote the keys need not be trusted. */
export function placeText(path: readonly string[]): string {
  return path.reduce(
    (place, key) =>
      /^\d+$/.test(key) ? `${place}[${key}]` : place === "" ? key : `${place}.${key}`,
    "",
  );
}

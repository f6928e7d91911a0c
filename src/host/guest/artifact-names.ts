/** A name's parts on any file system that matters are at most this long (NAME_MAX). */
const PART_BYTES_MAX = 255;
const NAME_BYTES_MAX = 1024;
/** What most names are made of; for the others the slow questions are asked. */
const PLAIN = /^[\w .,:=+@~/-]*$/;

/** Names that came from a guest, checked one by one; remembers which it let through. */
export class ArtifactNames {
  readonly #taken = new Set<string>();

  /**
   * The path below the results folder that a name may have, or why it may have none. A path has no `..`, nothing absolute,
   * nothing unprintable, and no twin that differs only in case or in Unicode's normal form.
   */
  admit(name: string): { readonly path: string } | { readonly why: string } {
    const path = pathOf(name);
    const why = complaintOf(path);
    if (why !== undefined) return { why };
    const folded = fold(path);
    if (this.#taken.has(folded)) return { why: "another file has the same name, or one like it" };
    this.#taken.add(folded);
    return { path };
  }

  /** Takes back what `admit` said: the file never came. */
  forget(name: string): void {
    this.#taken.delete(fold(pathOf(name)));
  }
}

function pathOf(name: string): string {
  return name.startsWith("./") ? name.slice(2) : name;
}

function fold(path: string): string {
  if (PLAIN.test(path)) return path.toLowerCase();
  return path.normalize("NFC").toUpperCase().toLowerCase();
}

function complaintOf(path: string): string | undefined {
  if (path === "") return "the name is empty";
  if (Buffer.byteLength(path) > NAME_BYTES_MAX) return "the name is too long";
  if (path.startsWith("/")) return "the name is absolute";
  if (!PLAIN.test(path)) {
    const why = oddityOf(path);
    if (why !== undefined) return why;
  }
  for (const part of path.split("/")) {
    if (part === "" || part === "." || part === "..") return "the name leads elsewhere";
    if (Buffer.byteLength(part) > PART_BYTES_MAX) return "a part of the name is too long";
  }
  return undefined;
}

function oddityOf(path: string): string | undefined {
  if (/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u.test(path)) return "the name has control characters";
  if (path.includes("\ufffd")) return "the name is not UTF-8";
  if (path.includes("\\")) return "the name has a backslash";
  return undefined;
}

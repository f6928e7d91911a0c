import { Fault } from "#job/fault.ts";
import { printable } from "#lib/printable.ts";
import { suggestion } from "#lib/suggestion.ts";

/** What a job may write to name an image: `name`, `name:version` or `name@sha256:<64 hex digits>`. */
export type Reference = {
  readonly name: string;
  readonly version?: string;
  readonly digest?: string;
};

const REFERENCE =
  /^(?<name>[a-z0-9][a-z0-9-]{0,62})(?::(?<version>[A-Za-z0-9][A-Za-z0-9._-]{0,31})|@sha256:(?<digest>[0-9a-f]{64}))?$/;

/** The parts of a reference, or undefined when it is none. */
export function parseReference(text: string): Reference | undefined {
  const groups = REFERENCE.exec(text)?.groups;
  if (groups?.["name"] === undefined) return undefined;
  const { name, version, digest } = groups;
  return {
    name,
    ...(version === undefined ? {} : { version }),
    ...(digest === undefined ? {} : { digest }),
  };
}

/** The fault of a reference that leads nowhere, with what there is instead. */
export function unknownImage(
  text: string,
  why: readonly string[],
  known: readonly string[],
): Fault {
  const written = printable(text, 100);
  const name = text.replace(/[:@].*$/s, "");
  const meant = known.includes(name) ? [] : suggestion(name, known);
  const there = known.length === 0 ? "there are no images here" : `there is: ${known.join(", ")}`;
  return new Fault("image-unknown", [`no image '${written}'`, ...why, ...meant, there].join("; "), {
    evidence: { image: written, known },
  });
}

import { Fault } from "#job/fault.ts";
import { printable } from "#lib/printable.ts";
import { suggestion } from "#lib/suggestion.ts";

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

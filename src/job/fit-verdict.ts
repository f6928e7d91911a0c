import type { Static } from "typebox";
import { printable } from "#lib/printable.ts";
import type { Evidence } from "./fault.ts";
import type { Refusal, Verdict } from "./verdict.ts";
import { EVIDENCE, type refusedSchema, type verdictSchema } from "./verdict-schema.ts";

/** A verdict that fits its schema. */
type FitVerdict = Static<typeof verdictSchema>;

const PROSE_CHARACTERS = 8192;
const STAGE_CHARACTERS = 200;
const NAME_CHARACTERS = 1024;
const WHY_CHARACTERS = 240;

/** A verdict as data that fits its schema: texts that are too long are cut, what cannot stand in one is left out. */
export function fitVerdict(verdict: Verdict): FitVerdict {
  if (verdict.kind === "passed") return { kind: "passed" };
  if (verdict.kind !== "broken")
    return { kind: verdict.kind, why: cut(verdict.why, PROSE_CHARACTERS) };
  const { code, blame, retry, stage, message, evidence } = verdict.fault;
  return {
    kind: "broken",
    fault: {
      code,
      blame,
      retry,
      ...(stage === undefined ? {} : { stage: cut(stage, STAGE_CHARACTERS) }),
      message: cut(message, PROSE_CHARACTERS),
      evidence: fitEvidence(evidence),
    },
  };
}

/** What was refused as an artifact, with names and reasons that fit. */
export function fitRefusal({ name, why }: Refusal): Static<typeof refusedSchema> {
  return {
    name: cut(name, NAME_CHARACTERS),
    why: why === "" ? "-" : printable(why, WHY_CHARACTERS),
  };
}

/** Values in their order, as long as there is room for them all together. */
function fitEvidence(evidence: Evidence) {
  let left: number = EVIDENCE.characters;
  const take = (text: string, characters: number) => {
    const taken = cut(text, Math.min(characters, left));
    left -= taken.length;
    return taken;
  };
  const some = Object.entries(evidence).slice(0, EVIDENCE.keys);
  return Object.fromEntries(
    some.map(([name, value]) => {
      const key = name.slice(0, 64);
      if (typeof value === "string") return [key, take(value, EVIDENCE.textCharacters)];
      if (typeof value === "number") return [key, Number.isFinite(value) ? value : 0];
      if (typeof value === "boolean") return [key, value];
      // Of many lines the last ones tell more.
      const last = value.slice(-EVIDENCE.lines).reverse();
      return [key, last.map((line) => take(line, EVIDENCE.lineCharacters)).reverse()];
    }),
  );
}

function cut(text: string, characters: number): string {
  const short = text.length > characters ? `${text.slice(0, Math.max(characters - 1, 0))}…` : text;
  return short.replaceAll("\0", "").toWellFormed();
}

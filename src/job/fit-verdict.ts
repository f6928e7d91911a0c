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

function fitEvidence(evidence: Evidence) {
  const some = Object.entries(evidence).slice(0, EVIDENCE.keys);
  return Object.fromEntries(
    some.map(([key, value]) => {
      if (typeof value === "string") return [key.slice(0, 64), cut(value, EVIDENCE.textCharacters)];
      if (typeof value === "number") return [key.slice(0, 64), Number.isFinite(value) ? value : 0];
      if (typeof value === "boolean") return [key.slice(0, 64), value];
      // Of many lines the last ones tell more.
      const lines = value.slice(-EVIDENCE.lines).map((line) => cut(line, EVIDENCE.lineCharacters));
      return [key.slice(0, 64), lines];
    }),
  );
}

function cut(text: string, characters: number): string {
  const short = text.length > characters ? `${text.slice(0, characters - 1)}…` : text;
  return short.replaceAll("\0", "").toWellFormed();
}

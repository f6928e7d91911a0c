import { Ajv2020, type ErrorObject, type ValidateFunction } from "ajv/dist/2020.js";
import { printable } from "./printable.ts";
import { suggestion } from "./suggestion.ts";

/** One thing wrong with a value. */
export type Violation = {
  /** Keys and list positions from the root to the value, or to the key, that is wrong or missing. */
  readonly path: readonly string[];
  readonly kind: "unknown-key" | "missing-key" | "bad-key" | "bad-value";
  /** What is wrong, then what was perhaps meant, then what is allowed; printable, without the place. */
  readonly says: readonly string[];
};

/**
 * A JSON Schema 2020-12 as a function that returns everything that is wrong with a value, at most one violation for each
 * place; empty when all is well. Nothing is coerced and no default is filled in. The caller bounds the value's size and
 * depth. `patternErrorMessage` beside a `pattern` says in words what is allowed ("must be …"). Compiled when first
 * called; the schema itself is ours and not checked (checking costs more than compiling), but unknown keywords throw.
 * With `first` it stops at the first violation: a megabyte from a stranger can hold a million of them, and each costs memory.
 */
export function compileSchema(
  schema: object,
  stopAt: "all" | "first" = "all",
): (value: unknown) => readonly Violation[] {
  let validate: ValidateFunction | undefined;
  return (value) => {
    validate ??= compiler(stopAt).compile(schema);
    if (validate(value)) return [];
    const byPlace = new Map<string, Violation>();
    for (const error of validate.errors ?? []) {
      const violation = violationOf(error);
      const place = JSON.stringify(violation?.path);
      if (violation !== undefined && !byPlace.has(place)) byPlace.set(place, violation);
    }
    return [...byPlace.values()];
  };
}

/**
 * Keywords of our schemas that ajv passes over: `quantity`, `least` and `most` are for whoever reads sizes and durations;
 * what stands at a `secretPlace` is not quoted, since somebody may have written the secret itself there.
 */
const ANNOTATIONS = ["patternErrorMessage", "quantity", "least", "most", "secretPlace"] as const;

const shared = new Map<"all" | "first", Ajv2020>();

function compiler(stopAt: "all" | "first"): Ajv2020 {
  const known = shared.get(stopAt);
  if (known !== undefined) return known;
  const options = { verbose: true, strict: true, messages: false } as const;
  const allErrors = stopAt === "all";
  const made = new Ajv2020({ ...options, allErrors, meta: false, validateSchema: false });
  for (const keyword of ANNOTATIONS) made.addKeyword(keyword);
  shared.set(stopAt, made);
  return made;
}

function violationOf(error: ErrorObject): Violation | undefined {
  const path = segments(error.instancePath);
  if (error.propertyName !== undefined) {
    const key = error.propertyName;
    return { path: [...path, key], kind: "bad-key", says: ["bad name", ...allowedBy(error)] };
  }
  switch (error.keyword) {
    case "propertyNames":
      return undefined; // Said already, with the name, by the error inside it.
    case "additionalProperties": {
      const key = String(error.params["additionalProperty"]);
      const known = Object.keys((error.parentSchema?.["properties"] as object | undefined) ?? {});
      const says = ["unknown key", ...suggestion(key, known), `allowed: ${known.join(", ")}`];
      return { path: [...path, key], kind: "unknown-key", says };
    }
    case "required": {
      const key = String(error.params["missingProperty"]);
      return { path: [...path, key], kind: "missing-key", says: ["is missing"] };
    }
    default:
      return { path, kind: "bad-value", says: [wrongOf(error), ...allowedBy(error)] };
  }
}

function wrongOf({ keyword, data, params, parentSchema }: ErrorObject): string {
  if (data === null || data === "") return "is empty";
  if (parentSchema?.["secretPlace"] === true) return "is not the place of a secret";
  if (keyword === "minItems" || keyword === "minProperties") return "is empty";
  if (keyword === "maxItems") return `has ${(data as unknown[]).length} entries`;
  if (keyword === "maxProperties") return `has ${Object.keys(data as object).length} keys`;
  if (keyword === "maxLength") return `is longer than ${params["limit"]} characters`;
  if (Array.isArray(data)) return "is a list";
  if (typeof data === "object") return "is a mapping";
  if (typeof data === "string") return `is '${printable(data, 60)}'`;
  return `is ${printable(String(data), 60)}`;
}

/** What the schema at the error's place allows, in words. */
function allowedBy({ parentSchema = {}, data }: ErrorObject): readonly string[] {
  const schema = parentSchema as Record<string, unknown>;
  if (typeof schema["patternErrorMessage"] === "string") return [schema["patternErrorMessage"]];
  if (Array.isArray(schema["enum"])) {
    const words = schema["enum"].map(String);
    const meant = typeof data === "string" ? suggestion(data, words) : [];
    return [...meant, `must be ${words.join(" or ")}`];
  }
  return [`must be ${typeInWords(schema)}`];
}

function typeInWords(schema: Record<string, unknown>): string {
  switch (schema["type"]) {
    case "integer":
      return `a whole number from ${schema["minimum"] ?? "-∞"} to ${schema["maximum"] ?? "∞"}`;
    case "array":
      return `a list of ${schema["minItems"] ?? 0} to ${schema["maxItems"] ?? "any number of"} entries`;
    case "object": {
      const most = schema["maxProperties"];
      return `a mapping (key: value)${most === undefined ? "" : ` of at most ${most} keys`}`;
    }
    case "boolean":
      return "true or false";
    case "string":
      return "text";
    default:
      return String(schema["type"]);
  }
}

/** The parts of a JSON pointer (RFC 6901). */
function segments(pointer: string): string[] {
  return pointer
    .split("/")
    .slice(1)
    .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
}

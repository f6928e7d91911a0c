import { isUtf8 } from "node:buffer";
import { compileSchema, type Violation } from "#lib/validate.ts";
import type { Route } from "#protocol/route.ts";
import type { TokenView } from "#protocol/token.ts";
import type { BodyBudget } from "./body-budget.ts";
import { Refusal } from "./refusal.ts";

/** Above this size only the first violation of a body is told: a large one can hold millions. */
const ALL_TOLD_BYTES_MAX = 64 * 1024;

const VIOLATIONS_MAX = 50;

type Values = Readonly<Record<string, unknown>>;
type Parameters = NonNullable<NonNullable<Route["parameters"]>["query"]>;

/** Reads a JSON body, strictly UTF-8; none at all is `{}`. */
export function parseJson(bytes: Buffer): unknown {
  if (bytes.length === 0) return {};
  if (!isUtf8(bytes)) throw new Refusal("malformed", { detail: "the body is not UTF-8" });
  try {
    return JSON.parse(bytes.toString());
  } catch (error) {
    throw new Refusal("malformed", { detail: `the body is not JSON: ${(error as Error).message}` });
  }
}

/** Checks a value against a schema, `at` being where it is told to lie; refuses it as invalid. */
export function checking(schema: object, at: string): (value: unknown, sizeBytes: number) => void {
  const findFirst = compileSchema(schema, "first");
  const findAll = compileSchema(schema);
  return (value, sizeBytes) => {
    const first = findFirst(value);
    if (first.length > 0)
      throw invalid(at, sizeBytes <= ALL_TOLD_BYTES_MAX ? findAll(value) : first);
  };
}

/** The refusal of what does not fit. */
export function invalid(
  at: string,
  violations: readonly Pick<Violation, "path" | "says">[],
): Refusal {
  const told = violations.slice(0, VIOLATIONS_MAX).map(({ path, says }) => ({
    path: [at, ...path].join(".").slice(0, 500),
    says: says.join("; ").slice(0, 1000),
  }));
  const [first] = told;
  return new Refusal("invalid", {
    ...(first === undefined ? {} : { detail: `${first.path}: ${first.says}`.slice(0, 1000) }),
    violations: told,
  });
}

/** Room in memory for a body of so many bytes, until it is given back; refuses it while there is none. */
export function roomFor(
  { bodies }: { readonly bodies: BodyBudget },
  token: TokenView,
  bytes: number,
): Disposable {
  const room = bodies.take(token.id, bytes);
  const again = { "retry-after": "1" };
  if (room === "ofOne") {
    const detail = "other requests of this token are still being read; wait for their answers";
    throw new Refusal("too-many", { detail }, again);
  }
  if (room === "all") {
    const detail = "too many large requests are being read; ask again";
    throw new Refusal("unavailable", { detail }, again);
  }
  return room;
}

/** The keys of a query, each at most once; refuses what is not well formed. */
export function parseQuery(url: string): Readonly<Record<string, string>> {
  const at = url.indexOf("?");
  const query = at < 0 ? "" : url.slice(at + 1);
  if (query === "") return {};
  try {
    decodeURIComponent(query.replaceAll("+", " "));
  } catch {
    throw new Refusal("malformed", { detail: "the query is not percent-encoded UTF-8" });
  }
  const found = new Map<string, string>();
  for (const [key, value] of new URLSearchParams(query)) {
    if (found.has(key)) throw invalid("query", [{ path: [key], says: ["is there twice"] }]);
    found.set(key, value);
  }
  return Object.fromEntries(found);
}

/** Texts with whole numbers in place of those that the schema wants as such; what is no number stays, to be refused. */
export function withNumbers(texts: Values, { properties }: Parameters): Values {
  return Object.fromEntries(
    Object.entries(texts).map(([key, text]) => {
      const { type } = (properties[key] ?? {}) as { type?: string };
      const isNumber =
        type === "integer" && typeof text === "string" && /^-?[0-9]{1,15}$/.test(text);
      return [key, isNumber ? Number(text) : text];
    }),
  );
}

/** Only the headers that a schema knows: others are passed over. */
export function pickHeaders(headers: Values, { properties }: Parameters): Values {
  return Object.fromEntries(
    Object.keys(properties)
      .filter((name) => headers[name] !== undefined)
      .map((name) => [name, headers[name]]),
  );
}

import { describe, expect, test } from "vitest";
import { compileSchema } from "#lib/validate.ts";
import { PROBLEMS, type ProblemSlug, problemSchema } from "#protocol/problem.ts";
import { EVERYWHERE, type Route } from "#protocol/route.ts";
import { ROUTES } from "#protocol/routes.ts";
import { PROTOCOL_VERSION } from "#protocol/version.ts";

type Schema = Record<string, unknown>;

const routes: [string, Route][] = Object.entries(ROUTES);

/** Every schema of a route, with its name in messages. */
function schemasOf([name, { parameters, body, answers }]: [string, Route]): [string, Schema][] {
  const found: [string, object | undefined][] = [
    ...Object.entries(parameters ?? {}).map(([kind, of]): [string, object] => [kind, of]),
    ["body", body?.type === "application/json" ? body.schema : undefined],
    ...Object.entries(answers).flatMap(([status, { schema, events, headers }]) => [
      [`${status}`, schema] as [string, object | undefined],
      [`${status} events`, events] as [string, object | undefined],
      ...Object.entries(headers ?? {}).map(([key, of]): [string, object] => [key, of]),
    ]),
  ];
  return found.flatMap(([kind, schema]) =>
    schema === undefined ? [] : [[`${name} ${kind}`, schema as Schema]],
  );
}

const schemas: [string, Schema][] = [
  ...routes.flatMap(schemasOf),
  ["problem", problemSchema as unknown as Schema],
];

/** Places in a schema where a peer could send any amount. */
function unbounded(schema: Schema, at: string): string[] {
  const below = (key: string, part: unknown) =>
    typeof part === "object" && part !== null ? unbounded(part as Schema, `${at}.${key}`) : [];
  const parts = [
    ...Object.entries((schema["properties"] as Schema | undefined) ?? {}).flatMap(([key, part]) =>
      below(key, part),
    ),
    ...((schema["anyOf"] as unknown[] | undefined) ?? []).flatMap((part) => below("anyOf", part)),
    ...below("items", schema["items"]),
    ...below("*", schema["additionalProperties"]),
  ];
  const isOpen = {
    object: schema["additionalProperties"] !== false && schema["maxProperties"] === undefined,
    array: schema["maxItems"] === undefined,
    string: schema["maxLength"] === undefined && !isBoundedPattern(schema["pattern"]),
    integer: false,
    number: false,
  }[String(schema["type"])];
  return isOpen === true ? [at, ...parts] : parts;
}

/** No unlimited repetition outside of lookaheads and character classes. */
function isBoundedPattern(pattern: unknown): boolean {
  if (typeof pattern !== "string" || !pattern.startsWith("^") || !pattern.endsWith("$"))
    return false;
  return !/[*+]/.test(
    pattern.replaceAll(/\[[^\]]*\]/g, "").replaceAll(/\(\?!(\(.*?\)|.)*?\)/g, ""),
  );
}

/** The one answer that is not ours to close: OpenAPI's own schema is elsewhere. */
const OPEN = ["readOpenApi 200"];

test("the walker finds what is open", () => {
  expect(unbounded({ type: "string", pattern: "^a+$" }, "x")).toEqual(["x"]);
  expect(unbounded({ type: "object", properties: { a: { type: "array" } } }, "x")).toEqual([
    "x",
    "x.a",
  ]);
});

test.each(schemas)("%s can be compiled, and refuses what is no such thing", (_, schema) => {
  expect(compileSchema(schema)(Symbol("nothing of this world"))).not.toEqual([]);
});

test.each(schemas.filter(([name]) => !OPEN.includes(name)))(
  "%s is closed and bounded everywhere",
  (name, schema) => {
    expect(unbounded(schema, name)).toEqual([]);
  },
);

test("no two operations share method and path", () => {
  const places = routes.map(
    ([, { method, path }]) => `${method} ${path.replaceAll(/\{[^}]+\}/g, "{}")}`,
  );
  expect(new Set(places).size).toBe(places.length);
});

describe.each(routes)("%s", (_, route) => {
  test("has the version in its path, but for what probes and browsers ask", () => {
    const isPlain = ["/healthz", "/readyz", "/metrics", "/openapi.json"].includes(route.path);
    expect(isPlain || route.path.startsWith(`/v${PROTOCOL_VERSION}/`)).toBe(true);
  });

  test("declares the parts of its path, and no others", () => {
    const parts = [...route.path.matchAll(/\{([^}]+)\}/g)].map(([, part]) => part);
    expect(Object.keys(route.parameters?.path?.properties ?? {})).toEqual(parts);
    expect(route.parameters?.path?.required ?? []).toEqual(parts);
  });

  test("is told in one sentence", () => {
    expect(route.summary).toMatch(/^[A-Z].*\.$/);
  });

  test("names each problem once, and every one that its shape can bring", () => {
    const own: readonly ProblemSlug[] = route.problems;
    expect(own.filter((slug) => (EVERYWHERE as readonly string[]).includes(slug))).toEqual([]);
    expect(new Set(own).size).toBe(own.length);
    for (const slug of own) expect(PROBLEMS[slug].status).toBeGreaterThanOrEqual(400);
    if (route.body !== undefined) {
      expect(own).toContain("too-large");
      expect(own).toContain("wrong-media");
    }
    if (route.parameters?.path !== undefined && !route.path.startsWith("/v1/inputs"))
      expect(own).toContain("not-found");
    if (route.path.includes("{lease}")) {
      expect(own).toContain("fenced");
      expect(route.roles).toEqual(["host"]);
    }
  });
});

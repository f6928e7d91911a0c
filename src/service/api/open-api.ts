import { PROBLEMS, type ProblemSlug, problemSchema } from "#protocol/problem.ts";
import { EVERYWHERE, type Route } from "#protocol/route.ts";
import { ROUTES } from "#protocol/routes.ts";

type Document = Readonly<Record<string, unknown>>;

let made: { readonly version: string; readonly document: Document } | undefined;

/** The table of routes as OpenAPI 3.1, whose schemas are JSON Schema 2020-12 as ours are. Made when first asked for. */
export function openApi(version: string): Document {
  if (made?.version !== version) made = { version, document: documentOf(version) };
  return made.document;
}

function documentOf(version: string): Document {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const [name, route] of Object.entries(ROUTES) as [string, Route][])
    paths[route.path] = {
      ...paths[route.path],
      [route.method.toLowerCase()]: operation(name, route),
    };
  return {
    openapi: "3.1.0",
    info: { title: "testbed job service", version, license: { name: "Apache-2.0" } },
    paths,
    components: {
      schemas: { Problem: plain(problemSchema) },
      securitySchemes: { token: { type: "http", scheme: "bearer" } },
    },
  };
}

function operation(operationId: string, { summary, roles, parameters, body, ...rest }: Route) {
  const everywhere =
    roles === "anyone" ? EVERYWHERE.filter((slug) => !OF_TOKENS.includes(slug)) : EVERYWHERE;
  return {
    operationId,
    summary,
    ...(roles === "anyone"
      ? {}
      : { description: `For tokens of the roles ${roles.join(", ")}.`, security: [{ token: [] }] }),
    parameters: (["path", "query", "headers"] as const).flatMap((kind) =>
      parametersOf(kind === "headers" ? "header" : kind, parameters?.[kind]),
    ),
    ...(body === undefined ? {} : { requestBody: requestBody(body) }),
    responses: { ...answersOf(rest.answers), ...problemsOf([...everywhere, ...rest.problems]) },
  };
}

const OF_TOKENS: readonly ProblemSlug[] = ["unauthenticated", "forbidden"];

function parametersOf(
  place: string,
  parameters: NonNullable<Route["parameters"]>["query"],
): readonly unknown[] {
  return Object.entries(parameters?.properties ?? {}).map(([name, schema]) => {
    const { description } = schema as { description?: string };
    return {
      name,
      in: place,
      required: parameters?.required.includes(name) ?? false,
      ...(description === undefined ? {} : { description }),
      schema: plain(schema),
    };
  });
}

function requestBody(body: NonNullable<Route["body"]>) {
  const { required = [] } = (body.type === "application/json" ? body.schema : {}) as {
    required?: readonly string[];
  };
  return {
    description: `At most ${body.bytesMax} bytes.`,
    required: body.type === "application/octet-stream" || required.length > 0,
    content: {
      [body.type]: body.type === "application/json" ? { schema: plain(body.schema) } : {},
    },
  };
}

function answersOf(answers: Route["answers"]) {
  return Object.fromEntries(
    Object.entries(answers).map(([status, { says, type, schema, events, headers }]) => {
      const content = {
        ...(type === undefined
          ? {}
          : { [type]: schema === undefined ? {} : { schema: plain(schema) } }),
        // What each event's data is; OpenAPI 3.1 has no word for a sequence of them.
        ...(events === undefined ? {} : { "text/event-stream": { schema: plain(events) } }),
      };
      const named = Object.entries(headers ?? {}).map(([name, of]) => [
        name,
        { schema: plain(of) },
      ]);
      return [
        status,
        {
          description: says,
          ...(Object.keys(content).length === 0 ? {} : { content }),
          ...(named.length === 0 ? {} : { headers: Object.fromEntries(named) }),
        },
      ];
    }),
  );
}

function problemsOf(slugs: readonly ProblemSlug[]) {
  const byStatus = Map.groupBy(slugs, (slug) => PROBLEMS[slug].status);
  return Object.fromEntries(
    [...byStatus].map(([status, some]) => [
      status,
      {
        description: some.map((slug) => `${slug}: ${PROBLEMS[slug].title}.`).join(" "),
        content: {
          "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } },
        },
      },
    ]),
  );
}

/** A schema without the keyword of our own. */
function plain(schema: object): unknown {
  return JSON.parse(
    JSON.stringify(schema, (key, value) => (key === "patternErrorMessage" ? undefined : value)),
  );
}

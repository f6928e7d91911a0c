import { expect, test } from "vitest";
import { PROBLEMS } from "#protocol/problem.ts";
import { ROUTES } from "#protocol/routes.ts";
import { openApi } from "#service/api/open-api.ts";

type Operation = {
  readonly operationId: string;
  readonly parameters: readonly {
    readonly name: string;
    readonly in: string;
    readonly required: boolean;
  }[];
  readonly responses: Readonly<Record<string, { readonly description: string }>>;
  readonly security?: unknown;
};

const document = openApi("0.1.0") as {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
};
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
);

test("every route is there, once, as OpenAPI 3.1", () => {
  expect(document.openapi).toMatch(/^3\.1\.\d$/);
  const told = operations.map(({ operation }) => operation.operationId);
  expect([...told].sort()).toEqual(Object.keys(ROUTES).sort());
});

test.each(operations.map((one) => [one.operation.operationId, one] as const))(
  "%s has its path's parameters, its answers and its problems",
  (name, { path, operation }) => {
    const parts = [...path.matchAll(/\{([^}]+)\}/g)].map(([, part]) => part);
    const inPath = operation.parameters.filter((one) => one.in === "path");
    expect(inPath.map((one) => one.name)).toEqual(parts);
    expect(inPath.every(({ required }) => required)).toBe(true);
    const route = ROUTES[name as keyof typeof ROUTES];
    for (const status of Object.keys(route.answers))
      expect(operation.responses).toHaveProperty(status);
    for (const slug of route.problems) {
      const { status, title } = PROBLEMS[slug];
      expect(operation.responses[status]?.description).toContain(`${slug}: ${title}.`);
    }
    expect(operation.security === undefined).toBe(route.roles === "anyone");
  },
);

test("no keyword of our own is left, and all schemas are in place", () => {
  const text = JSON.stringify(document);
  expect(text).not.toContain("patternErrorMessage");
  expect(text).toContain("#/components/schemas/Problem");
});

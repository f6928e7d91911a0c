import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { Ajv2020 } from "ajv/dist/2020.js";
import { expect, test } from "vitest";
import { command, PATH } from "#test/kit/command.ts";

const MAIN = new URL("../../../src/main.ts", import.meta.url).pathname;
const PASS = new URL("../../../config/examples/pass.yaml", import.meta.url).pathname;

async function testbed(...args: string[]) {
  const { stdout, stderr, code } = await promisify(execFile)(process.execPath, [
    MAIN,
    ...args,
  ]).then(
    (done) => ({ ...done, code: 0 }),
    (error: { stdout: string; stderr: string; code: number }) => error,
  );
  return { stdout, stderr, code };
}

test("help and version end well, on standard output", async () => {
  const [help, version] = await Promise.all([testbed("--help"), testbed("--version")]);
  expect(help).toMatchObject({ code: 0, stderr: "" });
  expect(help.stdout).toContain("Exit status: 0 passed, 1 failed");
  expect(help.stdout).toContain("TESTBED_STATE");
  expect(version).toMatchObject({ code: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) });
});

test("a wrong command line is exit status 2, on standard error, with what was meant", async () => {
  expect(await testbed("scema")).toMatchObject({
    code: 2,
    stdout: "",
    stderr: expect.stringContaining("Did you mean schema?"),
  });
  expect(await testbed("schema", "--jbo")).toMatchObject({ code: 2 });
  expect(await testbed()).toMatchObject({ code: 2, stdout: "" });
});

/** Preloaded, it has the process send itself a signal at the moment when it begins to load the command line's parts. */
const SIGNAL_WHILE_LOADING = `data:text/javascript,${encodeURIComponent(`
  import { registerHooks } from "node:module";
  registerHooks({
    resolve(specifier, context, next) {
      if (specifier === "commander") process.kill(process.pid, process.env.TEST_SIGNAL);
      return next(specifier, context);
    },
  });
`)}`;

test.each([
  ["SIGINT", "interrupted (Ctrl-C)"],
  ["SIGTERM", "ended by SIGTERM"],
])("%s before everything is loaded is a cancel like any other", async (signal, message) => {
  const { exitCode, stdout } = await command(
    process.execPath,
    ["--import", SIGNAL_WHILE_LOADING, MAIN, "run", "--json", PASS],
    { env: { PATH, TEST_SIGNAL: signal } },
  );
  expect(exitCode).toBe(130);
  expect(JSON.parse(stdout)).toEqual({ error: { exitCode: 130, message } });
});

test("the published schemas are JSON Schema 2020-12, and every key of a job has a description", async () => {
  const ajv = new Ajv2020({ strict: true, allErrors: true });
  ajv.addKeyword("patternErrorMessage");
  for (const which of ["job", "verdict", "error", "catalogue"]) {
    const { stdout } = await testbed("schema", which);
    ajv.compile(JSON.parse(stdout) as object);
    if (which === "job") expect(undescribed(JSON.parse(stdout), "")).toEqual([]);
  }
});

/** Paths of properties without a description. */
function undescribed(schema: unknown, path: string): string[] {
  if (typeof schema !== "object" || schema === null) return [];
  const { properties = {}, items } = schema as {
    properties?: Record<string, { description?: string }>;
    items?: unknown;
  };
  return [
    ...Object.entries(properties).flatMap(([key, value]) => [
      ...(value.description === undefined ? [`${path}.${key}`] : []),
      ...undescribed(value, `${path}.${key}`),
    ]),
    ...undescribed(items, `${path}[]`),
  ];
}

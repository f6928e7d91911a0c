import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, expectTypeOf, test } from "vitest";
import { ConfigError } from "#config/config-error.ts";
import { checkConfigText, readConfigFile } from "#config/config-file.ts";
import { ABSOLUTE_PATH, DURATION, SECRET_FILE, SIZE } from "#config/config-schema.ts";
import { configData, defaultsOf } from "#config/config-value.ts";

const SCHEMA = {
  type: "object",
  additionalProperties: false,
  required: ["service"],
  properties: {
    service: { type: "string", pattern: "^https://.+$", patternErrorMessage: "must be a URL" },
    tokenFile: SECRET_FILE,
    folder: { ...ABSOLUTE_PATH, default: "/var/lib/x" },
    lease: { ...DURATION, least: "1m", most: "1h", default: "5m" },
    labels: {
      type: "object",
      default: {},
      maxProperties: 3,
      additionalProperties: { type: "string" },
    },
    listen: { type: "array", maxItems: 3, items: { type: "string" }, default: ["a"] },
    limits: {
      type: "object",
      additionalProperties: false,
      default: {},
      properties: {
        memory: { ...SIZE, least: "64MiB", most: "1TiB", default: "1GiB" },
        disk: { ...SIZE, least: "1GiB", most: "4TiB" },
        slots: { type: "integer", minimum: 1, maximum: 64, default: 4 },
      },
    },
    level: { enum: ["info", "debug"], default: "info" },
    open: { type: "boolean", default: false },
  },
} as const;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "testbed-config-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** What is wrong with a file, a line each. */
function problems(text: string): string[] {
  try {
    checkConfigText("x.yaml", text, SCHEMA);
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as ConfigError).message.split("\n");
  }
  throw new Error("the file was taken");
}

test("a file gets every default, numbers for its units, and is frozen through and through", () => {
  const value = checkConfigText(
    "x.yaml",
    "service: https://jobs\nlimits: { disk: 2TiB }\n",
    SCHEMA,
  );
  expect(value).toEqual({
    service: "https://jobs",
    tokenFile: undefined,
    folder: "/var/lib/x",
    lease: 300,
    labels: {},
    listen: ["a"],
    limits: { memory: 1024, disk: 2 * 1024 * 1024, slots: 4 },
    level: "info",
    open: false,
  });
  expect([value, value.listen, value.limits, value.labels].every(Object.isFrozen)).toBe(true);
  expectTypeOf(value.service).toEqualTypeOf<string>();
  expectTypeOf(value.tokenFile).toEqualTypeOf<string | undefined>();
  expectTypeOf(value.lease).toEqualTypeOf<number>();
  expectTypeOf(value.limits.disk).toEqualTypeOf<number | undefined>();
  expectTypeOf(value.labels).toEqualTypeOf<Readonly<Record<string, string>>>();
  expectTypeOf(value.listen).toEqualTypeOf<readonly string[]>();
  expectTypeOf(value.level).toEqualTypeOf<"info" | "debug">();
});

test("a value becomes a file's data again, in the largest unit that fits", () => {
  const value = checkConfigText(
    "x.yaml",
    'service: https://jobs\nlease: 90s\nlimits: { memory: 2048MiB }\nlabels: { "__proto__": x }\n',
    SCHEMA,
  );
  const data = configData(SCHEMA, value) as Record<string, unknown>;
  expect(data).toMatchObject({ lease: "90s", limits: { memory: "2GiB", slots: 4 }, listen: ["a"] });
  expect(Object.keys(data)).not.toContain("tokenFile");
  expect(JSON.stringify(data["labels"])).toBe('{"__proto__":"x"}');
  expect(checkConfigText("x.yaml", JSON.stringify(data), SCHEMA)).toEqual(value);
});

test("everything wrong is said at once, with its place and what was perhaps meant", () => {
  const text = `leese: 5m
lease: 5 min
tokenFile: s3cret
limits:
  slots: 0
  memory: 2TiB
  dusk: 1GiB
listen: [ a, 1 ]
`;
  expect(problems(text)).toEqual([
    "x.yaml:1:1: service: is missing",
    expect.stringMatching(/^x\.yaml:1:1: leese: unknown key; did you mean 'lease'\?; allowed: /),
    expect.stringMatching(/^x\.yaml:2:8: lease: is '5 min'; did you mean '5m'\?; must be /),
    expect.stringMatching(
      /^x\.yaml:3:12: tokenFile: is not the place of a secret; must be the absolute path/,
    ),
    "x.yaml:5:10: limits.slots: is 0; must be a whole number from 1 to 64",
    "x.yaml:6:11: limits.memory: is '2TiB'; must be from 64MiB to 1TiB",
    expect.stringMatching(/^x\.yaml:7:3: limits.dusk: unknown key; did you mean 'disk'\?; allowed/),
    "x.yaml:8:14: listen.1: is 1; must be text",
  ]);
});

test("checks of several keys see what the schema let pass, and their findings have places too", () => {
  const check = ({ open, limits }: { open: boolean; limits: { slots: number } }) =>
    open && limits.slots > 2 ? [{ path: ["limits", "slots"], says: "is too much" }] : [];
  const read = (text: string) =>
    checkConfigText("x.yaml", `service: https://jobs\n${text}`, SCHEMA, check);
  expect(read("open: true\nlimits: { slots: 2 }\n").open).toBe(true);
  expect(() => read("open: true\n")).toThrow("x.yaml:1:1: limits.slots: is too much");
  expect(() => read("open: true\nlimits: { slots: 3 }\n")).toThrow(
    "x.yaml:3:18: limits.slots: is too much",
  );
});

test("a file of comments is an empty one, and a section of comments an empty section", () => {
  const optional = { ...SCHEMA, required: [] } as const;
  for (const text of ["", "# nothing\n", "limits:\n  # disk: 1GiB\n"])
    expect(checkConfigText("x.yaml", text, optional)).toEqual(defaultsOf(optional));
  expect(problems("service:\nlease:\n")).toEqual([
    "x.yaml:1:9: service: is empty; must be a URL",
    expect.stringMatching(/^x\.yaml:2:7: lease: is empty; must be /),
  ]);
});

test.each([
  ["no YAML", "service: [", /^x\.yaml:1:\d+: not valid YAML/],
  [
    "an alias",
    "service: *a\n",
    /not valid YAML|aliases \(\*\) are not allowed in a configuration file/,
  ],
  ["a tag", "service: !!str a\n", /tags \(!\) are not allowed in a configuration file/],
  ["two documents", "service: a\n---\nb: c\n", /a configuration file has one/],
  ["a list", "[]\n", /^x\.yaml:1:1: is a list; must be a mapping/],
  ["text", "hello\n", /^x\.yaml:1:1: is 'hello'; must be a mapping/],
  ["a forest of brackets", `service: ${"[".repeat(30_000)}`, /too intricate for a configuration/],
])("%s is refused", (_, text, says) => {
  expect(problems(text).join("\n")).toMatch(says);
});

test("what is no regular file of bounded size is refused", async () => {
  const path = join(folder, "x.yaml");
  const read = () => readConfigFile(path, SCHEMA);
  await expect(read()).rejects.toThrow(`${path}:1:1: there is no such file`);
  await expect(readConfigFile(folder, SCHEMA)).rejects.toThrow("is a folder, not a file");
  await expect(readConfigFile("/dev/zero", SCHEMA)).rejects.toThrow("is not a regular file");
  writeFileSync(path, "#".repeat(256 * 1024 + 1));
  await expect(read()).rejects.toThrow("a configuration file has at most 262144 (256 KiB)");
  writeFileSync(path, "service: https://jobs\n");
  expect((await read()).lease).toBe(300);
});

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { clientFileSchema } from "#config/client-file.ts";
import { checkConfigText } from "#config/config-file.ts";
import type { ConfigFileSchema, ConfigSchema } from "#config/config-schema.ts";
import { configData, defaultsOf } from "#config/config-value.ts";
import { daemonConfigSchema } from "#config/daemon-config.ts";
import { imagesConfigSchema } from "#config/images-config.ts";
import { serviceConfigSchema } from "#config/service-config.ts";
import { ROOT } from "#test/kit/house.ts";

/** Every configuration file that ships, with its schema. */
const FILES: Readonly<Record<string, ConfigFileSchema>> = {
  "config/client.yaml": clientFileSchema,
  "config/daemon.yaml": daemonConfigSchema,
  "config/images.yaml": imagesConfigSchema,
  "config/service.yaml": serviceConfigSchema,
};

/** Prose begins with `# `, a key that is commented out with `#` alone. */
const COMMENTED_OUT = /^(\s*)#(?=[^\s#])/gm;

/** Every key of a schema by its dotted path, sections without their own. */
function keysOf(schema: ConfigSchema, path = ""): { path: string; schema: ConfigSchema }[] {
  const keys = Object.entries(schema.properties ?? {});
  return keys.flatMap(([key, child]) =>
    child.properties === undefined
      ? [{ path: `${path}${key}`, schema: child }]
      : keysOf(child, `${path}${key}.`),
  );
}

function at(data: unknown, path: string): unknown {
  return path.split(".").reduce<unknown>((on, key) => (on as Record<string, unknown>)?.[key], data);
}

for (const [file, schema] of Object.entries(FILES)) {
  const text = readFileSync(join(ROOT, file), "utf8");
  const full = text.replaceAll(COMMENTED_OUT, "$1");

  test(`${file} as it stands changes nothing`, () => {
    expect(checkConfigText(file, text, schema)).toEqual(defaultsOf(schema));
  });

  test(`${file} has every key, with its default where there is one`, () => {
    const shown = configData(schema, checkConfigText(file, full, schema));
    const defaults = configData(schema, defaultsOf(schema));
    for (const { path, schema: key } of keysOf(schema)) {
      expect(at(shown, path), path).toBeDefined();
      // A mapping whose keys are free shows some of its own, as does a list of mappings; that one shows all their keys.
      const itemKeys = Object.keys(key.items?.properties ?? {});
      const isFree = key.additionalProperties !== undefined || itemKeys.length > 0;
      const items = itemKeys.length > 0 ? (at(shown, path) as object[]) : [];
      for (const itemKey of itemKeys)
        expect(
          items.some((item) => itemKey in item),
          `${path}: ${itemKey}`,
        ).toBe(true);
      if (key.default !== undefined && !isFree)
        expect(at(shown, path), path).toEqual(at(defaults, path));
    }
  });

  test(`${file} fits an editor, and begins with prose`, () => {
    const lines = text.split("\n");
    expect(lines[0]).toMatch(/^# /);
    expect(lines.filter((line) => line.length > 120)).toEqual([]);
  });

  test(`every key of ${file} is described in its schema, with its range or its choices`, () => {
    const bare = keysOf(schema).filter(({ schema: { description } }) => description === undefined);
    expect(bare.map(({ path }) => path)).toEqual([]);
    const unbounded = keysOf(schema).filter(
      ({ schema: { quantity, least, most } }) =>
        quantity !== undefined && (least === undefined || most === undefined),
    );
    expect(unbounded.map(({ path }) => path)).toEqual([]);
  });
}

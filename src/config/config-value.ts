import { type Finding, outOfRange, parseQuantity, quantityText } from "#job/quantity.ts";
import type { ConfigFileSchema, ConfigSchema, ConfigValue } from "./config-schema.ts";

/**
 * Data as a schema's value: defaults filled in, sizes and durations as numbers, all of it frozen. The findings are the
 * quantities out of range. Where the data does not fit the schema the value is of no use; the findings are.
 */
export function resolveConfig<S extends ConfigFileSchema>(
  schema: S,
  data: unknown,
): { readonly value: ConfigValue<S>; readonly findings: readonly Finding[] } {
  const findings: Finding[] = [];
  const value = resolved(schema, data, [], findings);
  return { value: value as ConfigValue<S>, findings };
}

/** What an empty file says. */
export function defaultsOf<S extends ConfigFileSchema>(schema: S): ConfigValue<S> {
  return resolveConfig(schema, {}).value;
}

/** A value as plain data of a file again, with units; absent keys are left out. */
export function configData(schema: ConfigSchema, value: unknown): unknown {
  if (schema.quantity !== undefined) return quantityText(schema.quantity, value as number);
  if (Array.isArray(value)) return value.map((item) => configData(schema.items ?? {}, item));
  if (!isMapping(value)) return value;
  const entries = Object.entries(value).filter(([, at]) => at !== undefined);
  return Object.fromEntries(
    entries.map(([key, at]) => [key, configData(schemaOfKey(schema, key) ?? {}, at)]),
  );
}

/** The schema of what stands at a path; undefined where it has none. */
export function schemaAt(schema: ConfigSchema, path: readonly string[]): ConfigSchema | undefined {
  const [key, ...rest] = path;
  if (key === undefined) return schema;
  const next = schema.items ?? schemaOfKey(schema, key);
  return next && schemaAt(next, rest);
}

/** A section whose keys are all commented out is null in YAML: as good as an empty one. Changes `data`. */
export function openEmptySections(schema: ConfigSchema, data: unknown): void {
  if (!isMapping(data)) return;
  for (const [key, child] of Object.entries(schema.properties ?? {})) {
    if (child.properties !== undefined && data[key] === null) data[key] = Object.create(null);
    openEmptySections(child, data[key]);
  }
}

function resolved(
  schema: ConfigSchema,
  written: unknown,
  path: readonly string[],
  findings: Finding[],
): unknown {
  const data = written === undefined ? schema.default : written;
  const child = (at: ConfigSchema, key: string, value: unknown) =>
    resolved(at, value, [...path, key], findings);
  if (schema.quantity !== undefined) {
    const { quantity, least, most } = schema;
    const bound = (text: string | undefined) => parseQuantity(quantity, text ?? "");
    const range = { min: bound(least) ?? 0, max: bound(most) ?? Number.POSITIVE_INFINITY };
    findings.push(...outOfRange(quantity, path, data, range));
    return typeof data === "string" ? parseQuantity(quantity, data) : undefined;
  }
  if (Array.isArray(data)) {
    const { items = {} } = schema;
    return Object.freeze(data.map((item, at) => child(items, String(at), item)));
  }
  if (!isMapping(data)) return data;
  const known = Object.keys(schema.properties ?? {});
  const free = schema.additionalProperties ? Object.keys(data) : [];
  const entries = [...new Set([...known, ...free])].map((key) => [
    key,
    child(schemaOfKey(schema, key) ?? {}, key, Object.hasOwn(data, key) ? data[key] : undefined),
  ]);
  return Object.freeze(Object.fromEntries(entries));
}

function schemaOfKey(schema: ConfigSchema, key: string): ConfigSchema | undefined {
  if (schema.properties !== undefined && Object.hasOwn(schema.properties, key))
    return schema.properties[key];
  return schema.additionalProperties || undefined;
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

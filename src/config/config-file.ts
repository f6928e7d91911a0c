import type { Finding } from "#job/quantity.ts";
import { suggestUnit } from "#job/units.ts";
import type { FileKind } from "#lib/file-kind.ts";
import { dotted, type Problem, problemOf } from "#lib/file-problem.ts";
import { readFileText } from "#lib/file-text.ts";
import { compileSchema, type Violation } from "#lib/validate.ts";
import { nearestPlace, parseYamlTree, type YamlTree } from "#lib/yaml-tree.ts";
import { ConfigError } from "./config-error.ts";
import type { ConfigFileSchema, ConfigValue } from "./config-schema.ts";
import { openEmptySections, resolveConfig, schemaAt } from "./config-value.ts";

/** An empty one is as good as none: every key has a default, or may be absent, or is missed by name. */
const CONFIG_FILE: FileKind = {
  name: "configuration file",
  bytesMax: 256 * 1024,
  lexemesMax: 20_000,
  refusal: (file, problems, more) => ConfigError.ofFile(file, problems, more),
};

/**
 * The value of a configuration file, frozen: YAML (or JSON), at most 256 KiB, no unknown keys, every default filled in,
 * sizes in MiB and durations in seconds. Throws `ConfigError` with everything that is wrong at once, each with file, line,
 * column and key. `checks` say what the schema cannot, several keys at once; they see a value that is right by the schema.
 */
export async function readConfigFile<const S extends ConfigFileSchema>(
  path: string,
  schema: S,
  checks: (value: ConfigValue<S>) => readonly Finding[] = () => [],
): Promise<ConfigValue<S>> {
  return checkConfigText(path, await readFileText(CONFIG_FILE, path), schema, checks);
}

/** The same for text; `path` is its name in messages. */
export function checkConfigText<const S extends ConfigFileSchema>(
  path: string,
  text: string,
  schema: S,
  checks: (value: ConfigValue<S>) => readonly Finding[] = () => [],
): ConfigValue<S> {
  const tree = parseYamlTree(CONFIG_FILE, path, text);
  openEmptySections(schema, tree.value);
  const { value, findings } = resolveConfig(schema, tree.value);
  const problems: Problem[] = [
    ...tree.problems,
    ...compileSchema(schema)(tree.value).map((wrong) => schemaProblem(schema, tree, wrong)),
    ...findings.map((finding) => findingProblem(tree, finding)),
  ];
  if (problems.length === 0)
    problems.push(...checks(value).map((finding) => findingProblem(tree, finding)));
  if (problems.length > 0) throw ConfigError.ofFile(path, problems);
  return value;
}

function findingProblem(tree: YamlTree, { path, says }: Finding): Problem {
  return { place: nearestPlace(tree, path, "value"), path: dotted(path), says };
}

function schemaProblem(schema: ConfigFileSchema, tree: YamlTree, wrong: Violation): Problem {
  const { path, kind } = wrong;
  const place = nearestPlace(tree, path, kind === "bad-value" ? "value" : "key");
  return problemOf(wrong, place, kind === "bad-value" ? meant(schema, tree, path) : undefined);
}

/** `5m` for who wrote `5 min`. */
function meant(
  schema: ConfigFileSchema,
  { value: root }: YamlTree,
  path: readonly string[],
): string | undefined {
  const quantity = schemaAt(schema, path)?.quantity;
  const value = path.reduce<unknown>((at, key) => (at as Record<string, unknown>)?.[key], root);
  if (quantity === undefined || (typeof value !== "string" && typeof value !== "number")) return;
  return suggestUnit(String(value), quantity);
}

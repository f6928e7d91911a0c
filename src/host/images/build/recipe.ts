import { createHash } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Static } from "typebox";
import { parse } from "yaml";
import { NAME_PATTERN, SETTINGS, VERSION_PATTERN } from "#host/images/store/manifest.ts";
import { Fault } from "#job/fault.ts";
import { compileSchema } from "#lib/validate.ts";

/**
 * A recipe: a folder with `image.yaml`, `build.sh` and the files that go in. `build.sh OUTPUT SCRATCH [BASE]` leaves
 * disk.qcow2, kernel and initrd in OUTPUT; it runs as root, without loop devices and mounts, and finds the Debian
 * packages that its inputs were hashed with in $PACKAGES (`name=version …`). A line `stage: …` is progress.
 */
const SCHEMA = {
  type: "object",
  additionalProperties: false,
  required: ["name", "version", "summary", "tools", "timeoutMinutes"],
  properties: {
    name: { type: "string", pattern: NAME_PATTERN },
    /** Raised by hand when what the image offers changes; refreshed packages alone keep it. */
    version: { type: "string", pattern: VERSION_PATTERN },
    summary: { type: "string", minLength: 1, maxLength: 200 },
    /** Another image whose stored files this one begins with. What is left out below is taken from it. */
    from: { type: "string", pattern: NAME_PATTERN },
    /** Debian releases (VERSION_CODENAME) whose packages the recipe is known to work with. */
    releases: { type: "array", minItems: 1, items: { type: "string" } },
    packages: { type: "array", items: { type: "string", pattern: "^[a-z0-9][a-z0-9+.-]+$" } },
    /** Programs that build.sh runs, each with the Debian package that brings it. */
    tools: { type: "object", additionalProperties: { type: "string" } },
    timeoutMinutes: { type: "integer", minimum: 1, maximum: 240 },
    ...SETTINGS,
  },
} as const;

export type Recipe = Static<typeof SCHEMA> & {
  readonly folder: string;
  /** SHA-256 over every file of the folder: path, executable bit, content. */
  readonly hash: string;
};

const violations = compileSchema(SCHEMA);

/** Raised when the same recipe would be built into something else by another version of this code. */
const BUILDER_VERSION = 2;
const RECIPE_FILES_MAX = 500;

/**
 * The recipe of this name in the first catalogue folder that has one, or undefined. Reads and hashes the whole folder, a
 * few small files. Throws image-build-failed when the recipe itself is wrong.
 */
export async function findRecipe(
  catalogues: readonly string[],
  name: string,
): Promise<Recipe | undefined> {
  for (const catalogue of catalogues) {
    const folder = join(catalogue, name);
    const text = await readFile(join(folder, "image.yaml"), "utf8").catch(() => undefined);
    if (text !== undefined) return readRecipe(folder, name, text);
  }
  return undefined;
}

/** Names of all recipes, sorted. A catalogue folder that does not exist holds none. */
export async function recipeNames(catalogues: readonly string[]): Promise<string[]> {
  const names = new Set<string>();
  for (const catalogue of catalogues) {
    for (const name of await readdir(catalogue).catch(() => [])) {
      const isRecipe = await stat(join(catalogue, name, "image.yaml")).then(
        (found) => found.isFile(),
        () => false,
      );
      if (isRecipe && new RegExp(NAME_PATTERN).test(name)) names.add(name);
    }
  }
  return [...names].sort();
}

async function readRecipe(folder: string, name: string, text: string): Promise<Recipe> {
  const path = join(folder, "image.yaml");
  let value: unknown;
  try {
    value = parse(text);
  } catch (error) {
    throw new Fault("image-build-failed", `${path}: ${(error as Error).message}`, { cause: error });
  }
  const [wrong] = violations(value);
  if (wrong !== undefined)
    throw new Fault(
      "image-build-failed",
      `${path}: ${wrong.path.join(".")} ${wrong.says.join(", ")}`,
    );
  const recipe = value as Static<typeof SCHEMA>;
  if (recipe.name !== name)
    throw new Fault(
      "image-build-failed",
      `${path}: the name is '${recipe.name}', not the folder's`,
    );
  return { ...recipe, folder, hash: await hashFolder(folder) };
}

async function hashFolder(folder: string): Promise<string> {
  const hash = createHash("sha256").update(`builder ${BUILDER_VERSION}, ${process.arch}\n`);
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  if (paths.length > RECIPE_FILES_MAX)
    throw new Fault("image-build-failed", `${folder} has more than ${RECIPE_FILES_MAX} files`);
  for (const path of paths) {
    const { mode } = await stat(path);
    const content = await readFile(path);
    const isExecutable = (mode & 0o100) !== 0;
    hash.update(`${path.slice(folder.length)} ${isExecutable} ${content.length}\n`).update(content);
  }
  return hash.digest("hex");
}

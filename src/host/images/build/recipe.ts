import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Static } from "typebox";
import { parse } from "yaml";
import { NAME_PATTERN, SETTINGS, VERSION_PATTERN } from "#host/images/store/manifest.ts";
import { Fault } from "#job/fault.ts";
import { checkJobFile } from "#job/job-file-checks.ts";
import { jobFileSchema } from "#job/job-file-schema.ts";
import { compileSchema } from "#lib/validate.ts";

/**
 * A recipe: a folder with `image.yaml` and the files that go in. What makes the image is either `build.sh` or, of an image that is
 * derived from another, a list of steps.
 *
 * `build.sh OUTPUT SCRATCH [BASE]` leaves disk.qcow2, kernel and initrd in OUTPUT; it runs as root, without loop devices and
 * mounts, and finds the Debian packages that its inputs were hashed with in $PACKAGES (`name=version …`). A line `stage: …` is
 * progress.
 *
 * `steps` run in a machine of `from`, as a job's do, with what `inputs` and `debs` bring; see `derive-image.ts`.
 */
const packageName = { type: "string", pattern: "^[a-z0-9][a-z0-9+.-]+$" } as const;
const job = jobFileSchema.properties;

/** What only a recipe with steps has: the parts of a job, as a job file writes them. */
const DERIVED = {
  steps: job.steps,
  inputs: {
    ...job.inputs,
    items: {
      ...job.inputs.items,
      properties: {
        to: job.inputs.items.properties.to,
        from: {
          type: "string",
          pattern: "^(?!/)(?!(.*/)?\\.\\.(/|$))[^\\p{Cc}\\p{Cs}]{1,1024}$",
          patternErrorMessage: "must be a path within the recipe's folder",
        },
      },
    },
  },
  /** Debian packages that this host fetches, with all that they depend on, and sends into the machine as files. */
  debs: { type: "array", minItems: 1, maxItems: 200, items: packageName },
  /** Size of the machine that the steps run in; `disk` is that of the image too, and not less than the base's. */
  ...job.resources.properties,
} as const;

const SCHEMA = {
  type: "object",
  additionalProperties: false,
  required: ["name", "version", "summary", "timeoutMinutes"],
  properties: {
    name: { type: "string", pattern: NAME_PATTERN },
    /** Raised by hand when what the image offers changes; refreshed packages alone keep it. */
    version: { type: "string", pattern: VERSION_PATTERN },
    summary: { type: "string", minLength: 1, maxLength: 200 },
    /** Another image whose stored files this one begins with. What is left out below is taken from it. */
    from: { type: "string", pattern: NAME_PATTERN },
    /** Debian releases (VERSION_CODENAME) whose packages the recipe is known to work with. */
    releases: { type: "array", minItems: 1, items: { type: "string" } },
    packages: { type: "array", items: packageName },
    /** Programs that build.sh runs, each with the Debian package that brings it. */
    tools: { type: "object", additionalProperties: { type: "string" } },
    timeoutMinutes: { type: "integer", minimum: 1, maximum: 240 },
    ...DERIVED,
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
/** All of a recipe is read whenever somebody asks for its image. */
const RECIPE_BYTES_MAX = 256 * 1024 * 1024;

/** What makes the image of a recipe without steps. */
export const SCRIPT_NAME = "build.sh";

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
  const senseless = await wrongKind(recipe, folder);
  if (senseless !== undefined) throw new Fault("image-build-failed", `${path}: ${senseless}`);
  if (recipe.name !== name)
    throw new Fault(
      "image-build-failed",
      `${path}: the name is '${recipe.name}', not the folder's`,
    );
  return { ...recipe, folder, hash: await hashFolder(folder) };
}

/** What the schema has no words for: whether build.sh or the steps make the image, and what goes with which. */
async function wrongKind(
  recipe: Static<typeof SCHEMA>,
  folder: string,
): Promise<string | undefined> {
  const has = (keys: object) => Object.keys(keys).filter((key) => Object.hasOwn(recipe, key));
  const hasScript = await stat(join(folder, SCRIPT_NAME)).then(
    (found) => found.isFile(),
    () => false,
  );
  if (recipe.steps === undefined) {
    const [alone] = has(DERIVED);
    if (alone !== undefined) return `${alone} goes with steps, and there are none`;
    if (!hasScript) return `there is neither a ${SCRIPT_NAME} beside it nor steps in it`;
    return recipe.tools === undefined ? "tools is missing" : undefined;
  }
  if (hasScript)
    return `there are steps in it and a ${SCRIPT_NAME} beside it, and only one can make the image`;
  if (recipe.from === undefined) return "from is missing: steps run in a machine of another image";
  const [other] = has({ packages: 0, tools: 0 });
  if (other !== undefined) return `${other} is for a ${SCRIPT_NAME}; steps take debs`;
  const { memory, disk, steps } = recipe;
  const [finding] = checkJobFile({ resources: { memory, disk }, steps });
  return finding && `${finding.path.join(".").replace("resources.", "")} ${finding.says}`;
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
  let bytes = 0;
  for (const path of paths) {
    const { mode, size } = await stat(path);
    bytes += size;
    if (bytes > RECIPE_BYTES_MAX)
      throw new Fault(
        "image-build-failed",
        `${folder} has more than ${RECIPE_BYTES_MAX / 2 ** 20} MiB`,
      );
    const isExecutable = (mode & 0o100) !== 0;
    hash.update(`${path.slice(folder.length)} ${isExecutable} ${size}\n`);
    for await (const piece of createReadStream(path)) hash.update(piece);
  }
  return hash.digest("hex");
}

import { stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { dotted, type Place, type Problem, problemOf } from "#lib/file-problem.ts";
import { readFileText } from "#lib/file-text.ts";
import { compileSchema, type Violation } from "#lib/validate.ts";
import { nearestPlace, parseYamlTree } from "#lib/yaml-tree.ts";
import { checkJobFile, unitMeant } from "./job-file-checks.ts";
import { JOB_FILE, JobFileError } from "./job-file-kind.ts";
import { applyOverride, type Override } from "./job-file-overrides.ts";
import { type JobFile, jobFileSchema, NOT_YET, VALUES_NOT_YET } from "./job-file-schema.ts";
import { jobSpecOf } from "./job-spec-of.ts";
import type { Input, JobSpec } from "./spec.ts";

/**
 * The job that a file asks for, with what the command line changes in it. Throws `JobFileError` with everything that is
 * wrong at once, each with its place; nothing but reading and `stat` of the inputs has happened then.
 */
export async function readJobFile(
  path: string,
  overrides: readonly Override[] = [],
): Promise<JobSpec> {
  const { file, inputs } = await readJobFileKeys(path, overrides);
  return jobSpecOf(file, inputs);
}

/** The same as it is written, for those who send it on; `inputs` are the file's, with absolute paths. Throws the same. */
export async function readJobFileKeys(
  path: string,
  overrides: readonly Override[] = [],
): Promise<{ readonly file: JobFile; readonly inputs: readonly Input[] }> {
  const text = await readFileText(JOB_FILE, path);
  const { file, place, problems } = checkJobFileText(path, text, overrides);
  const folder = dirname(resolve(path));
  problems.push(...(await missingInputs(file, folder, place)));
  if (problems.length > 0) throw new JobFileError(path, problems);
  const job = file as JobFile;
  const inputs = (job.inputs ?? []).map(({ from, to }) => ({ from: resolve(folder, from), to }));
  return { file: job, inputs };
}

/** The place to name for the value at a path, or for its key. */
type PlaceOf = (path: readonly string[], of: "key" | "value") => Place;

type Checked = {
  readonly file: unknown;
  readonly place: PlaceOf;
  readonly problems: Problem[];
};

/** Everything about a job file that can be said without touching the disk. Throws `JobFileError` when it is no YAML. */
export function checkJobFileText(
  path: string,
  text: string,
  overrides: readonly Override[],
): Checked {
  const tree = parseYamlTree(JOB_FILE, path, text);
  const problems = [...tree.problems];
  const applied: Override[] = [];
  for (const override of overrides) {
    const says = applyOverride(tree.value, override);
    if (says === undefined) applied.push(override);
    else problems.push({ place: override, path: "", says });
  }
  const place: PlaceOf = (at, of) =>
    applied.findLast((override) => begins(at, override.path)) ??
    nearestPlace(tree, at, of, (above) => applied.find(({ path: made }) => begins(made, above)));
  for (const violation of validate(tree.value)) {
    problems.push(schemaProblem(violation, tree.value, place));
  }
  for (const { path: at, says } of checkJobFile(tree.value)) {
    problems.push({ place: place(at, "value"), path: dotted(at), says });
  }
  return { file: tree.value, place, problems };
}

function begins(path: readonly string[], beginning: readonly string[]): boolean {
  return beginning.every((key, depth) => key === path[depth]);
}

let compiled: ReturnType<typeof compileSchema> | undefined;

function validate(data: unknown): readonly Violation[] {
  compiled ??= compileSchema(jobFileSchema);
  return compiled(data);
}

function schemaProblem(violation: Violation, data: unknown, placeOf: PlaceOf): Problem {
  const { path, kind, says } = violation;
  const place = placeOf(path, kind === "bad-value" ? "value" : "key");
  const pattern = path.map((key) => (/^\d+$/.test(key) ? "*" : key)).join(".");
  if (kind === "unknown-key" && NOT_YET.includes(pattern)) {
    return problemOf({ ...violation, says: ["is not supported yet"] }, place);
  }
  const value = path.reduce<unknown>((at, key) => (at as Record<string, unknown>)?.[key], data);
  if (kind === "bad-value" && VALUES_NOT_YET[pattern]?.includes(value)) {
    const first = `'${value}' is not supported yet`;
    return problemOf({ ...violation, says: [first, ...says.slice(1)] }, place);
  }
  return problemOf(violation, place, kind === "bad-value" ? unitMeant(path, value) : undefined);
}

/** Inputs must be there before anything is started; whether they can be read to the end shows when they are sent. */
async function missingInputs(
  data: unknown,
  folder: string,
  place: PlaceOf,
): Promise<readonly Problem[]> {
  const inputs = (data as { inputs?: unknown } | null)?.inputs;
  if (!Array.isArray(inputs)) return [];
  const found = await Promise.all(
    inputs.slice(0, jobFileSchema.properties.inputs.maxItems).map(async (input, number) => {
      const from: unknown = (input as { from?: unknown } | null)?.from;
      if (typeof from !== "string" || from === "") return [];
      const says = await whyNoInput(resolve(folder, from));
      const at = ["inputs", String(number), "from"];
      return says === undefined ? [] : [{ place: place(at, "value"), path: dotted(at), says }];
    }),
  );
  return found.flat();
}

async function whyNoInput(path: string): Promise<string | undefined> {
  try {
    const found = await stat(path);
    return found.isFile() || found.isDirectory() ? undefined : "is neither a file nor a folder";
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ERR_INVALID_ARG_VALUE") return undefined; // A NUL: the schema has said so.
    return code === "ENOENT" || code === "ENOTDIR"
      ? "there is no such file or folder (relative paths begin at the job file's folder)"
      : `cannot be read: ${message}`;
  }
}

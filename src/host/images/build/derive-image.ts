import { constants, copyFile, mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { BOOT_NAMES, DISK_NAMES } from "#host/images/store/manifest.ts";
import type { Derive, Image } from "#host/runner/ports.ts";
import { Fault } from "#job/fault.ts";
import { jobSpecOf } from "#job/job-spec-of.ts";
import type { Input, JobSpec, Step } from "#job/spec.ts";
import { fetchDebs } from "./fetch-debs.ts";
import { flatten } from "./flatten.ts";
import type { Recipe } from "./recipe.ts";
import { Stages } from "./stages.ts";

/** Where the steps of a recipe find the files of its `debs`. */
const DEBS_IN_GUEST = "/var/tmp/testbed-debs";

const CLEAN_SCRIPT = new URL("clean.sh", import.meta.url);
const CLEAN_TIMEOUT_SECONDS = 600;

export type DerivedOrder = {
  readonly recipe: Recipe & { readonly steps: NonNullable<Recipe["steps"]> };
  readonly base: Image;
  /** Versions of the recipe's `debs`. */
  readonly packages: Readonly<Record<string, string>>;
  /** The folder of this build; `image` in it is the output. */
  readonly folder: string;
  readonly derive: Derive;
  readonly onProgress: (line: string) => void;
};

/**
 * Makes the files of a derived image: the recipe's steps run in a machine of the base, which is then cleaned and shut down, and
 * its disk becomes one file that needs no other. What boots it is the base's. Throws image-build-failed and what `Derive` throws.
 */
export async function deriveImage(order: DerivedOrder, signal: AbortSignal): Promise<void> {
  const { recipe, base, packages, folder, derive, onProgress } = order;
  const output = join(folder, "image");
  using stages = new Stages(onProgress);
  const inputs: Input[] = (recipe.inputs ?? []).map(({ from, to }) => {
    return { from: join(recipe.folder, from), to };
  });
  if (recipe.debs !== undefined) {
    stages.enter("fetch packages");
    const debs = join(folder, "debs");
    await fetchDebs(packages, debs, { onProgress, signal });
    inputs.push({ from: debs, to: DEBS_IN_GUEST });
  }
  const machine = join(folder, "machine");
  await mkdir(machine, { mode: 0o700 });
  try {
    await derive(
      {
        spec: await specOf(order, inputs),
        folder: machine,
        onStage: (stage) => stages.enter(stage),
        onProgress,
        onFrozen: async (overlay, alive) => {
          stages.enter("flatten");
          await flatten({ overlay, base, target: join(output, DISK_NAMES.qcow2) }, alive);
        },
      },
      signal,
    );
  } catch (error) {
    if (!(error instanceof Fault) || error.code !== "image-build-failed") throw error;
    const { stage = stages.current, evidence, message } = error;
    const says = `building ${recipe.name} failed while it was at '${stage}': ${message}`;
    throw new Fault("image-build-failed", says, { cause: error, stage, evidence });
  }
  await copyBootFiles(base, output);
}

/** The job of the machine: what the recipe asks for, and at the end what makes an image of it. */
async function specOf({ recipe, base }: DerivedOrder, inputs: readonly Input[]): Promise<JobSpec> {
  const { cpus, memory, disk, steps, timeoutMinutes } = recipe;
  const resources = {
    ...(cpus === undefined ? {} : { cpus }),
    ...(memory === undefined ? {} : { memory }),
    ...(disk === undefined ? {} : { disk }),
  };
  const image = `${base.name}@sha256:${base.digest}`;
  const spec = jobSpecOf({ image, resources, timeout: `${timeoutMinutes}m`, steps }, inputs);
  const clean = step("clean up", await readFile(CLEAN_SCRIPT, "utf8"), CLEAN_TIMEOUT_SECONDS);
  return { ...spec, steps: [...mayBecomeRoot(base), ...spec.steps, clean] };
}

/** An image whose login cannot become root is refused before the steps have taken their time. */
function mayBecomeRoot({ name, login }: Image): readonly Step[] {
  if (login === "root") return [];
  const says = `${login} of image ${name} is not root, and sudo asks it for a password or is not there: nothing can be derived from it`;
  return [step("become root", `sudo -n true || { echo '${says}'; exit 1; }`, 60)];
}

function step(name: string, run: string, timeoutSeconds: number): Step {
  return { name, run, when: "success", timeoutSeconds, silenceSeconds: undefined };
}

async function copyBootFiles({ boot }: Image, output: string): Promise<void> {
  if (boot.kind !== "kernel") return;
  for (const name of Object.values(BOOT_NAMES))
    await copyFile(boot[name], join(output, name), constants.COPYFILE_FICLONE);
}

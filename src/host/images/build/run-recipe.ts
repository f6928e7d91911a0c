import { chmod, lstat, mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { inspectDisk, VIRTUAL_BYTES_MAX } from "#host/images/inspect/inspect-disk.ts";
import { makeBuildFolder, publish } from "#host/images/store/layout.ts";
import {
  BOOT_NAMES,
  DISK_NAMES,
  encodeManifest,
  MANIFEST_NAME,
  type Manifest,
  readManifest,
  sha256File,
} from "#host/images/store/manifest.ts";
import type { Boot, Derive, Image } from "#host/runner/ports.ts";
import { Fault } from "#job/fault.ts";
import { SpawnError } from "#lib/spawn.ts";
import { runConfined } from "./confined.ts";
import { deriveImage } from "./derive-image.ts";
import { type Recipe, SCRIPT_NAME } from "./recipe.ts";
import { Stages } from "./stages.ts";

const MIB = 1024 * 1024;

export type BuildOrder = {
  readonly store: string;
  readonly recipe: Recipe;
  /** The stored image that `from` names. */
  readonly base: (Image & { readonly folder: string }) | undefined;
  /** Debian packages with versions, as hashed. */
  readonly packages: Readonly<Record<string, string>>;
  readonly derive: Derive;
  readonly onProgress: (line: string) => void;
};

/**
 * Runs a recipe and puts the result into the store; returns its digest. The caller holds the name's lock. A build that
 * fails or is stopped leaves nothing but what `sweepBuilds` removes.
 */
export async function build(order: BuildOrder, signal: AbortSignal): Promise<string> {
  const folder = await makeBuildFolder(order.store, order.recipe.name);
  try {
    await mkdir(join(folder, "image"), { mode: 0o755 });
    await mkdir(join(folder, "scratch"), { mode: 0o755 });
    await makeFiles(order, folder, signal);
    order.onProgress("checksums");
    const output = join(folder, "image");
    const { text, digest } = encodeManifest(await describe(order, output, signal));
    await writeFile(join(output, MANIFEST_NAME), text);
    await publish(order.store, output, digest);
    return digest;
  } finally {
    // A recipe that was just killed may still be writing for a moment.
    await rm(folder, { recursive: true, force: true, maxRetries: 10 });
  }
}

/** By the recipe's steps, when it has some, else by its build.sh. */
async function makeFiles(order: BuildOrder, folder: string, signal: AbortSignal): Promise<void> {
  const { recipe, base } = order;
  const { steps } = recipe;
  if (steps === undefined || base === undefined) return await runScript(order, folder, signal);
  await deriveImage({ ...order, recipe: { ...recipe, steps }, base, folder }, signal);
}

async function runScript(order: BuildOrder, folder: string, signal: AbortSignal): Promise<void> {
  const { recipe, base, packages } = order;
  using stages = new Stages(order.onProgress);
  const args = [join(folder, "image"), join(folder, "scratch"), ...(base ? [base.folder] : [])];
  try {
    await runConfined(["sh", join(recipe.folder, SCRIPT_NAME), ...args], {
      timeoutMs: recipe.timeoutMinutes * 60_000,
      signal,
      cwd: folder,
      env: {
        PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        HOME: "/root",
        LC_ALL: "C",
        DEBIAN_FRONTEND: "noninteractive",
        PACKAGES: Object.entries(packages)
          .map(([name, version]) => `${name}=${version}`)
          .join(" "),
      },
      onOutput: (text) => stages.read(text),
    });
  } catch (error) {
    signal.throwIfAborted();
    const tail = error instanceof SpawnError ? error.stderrTail : "";
    throw new Fault(
      "image-build-failed",
      `building ${recipe.name} failed while it was at '${stages.current}': ${lastLine(tail) || (error as Error).message}`,
      { cause: error, stage: stages.current, evidence: { stderr: tail } },
    );
  }
}

/** The manifest of what a recipe left in its output folder. Throws image-build-failed when that is no image. */
async function describe(order: BuildOrder, output: string, signal: AbortSignal): Promise<Manifest> {
  const { recipe, base, packages } = order;
  const part = async (name: string) => {
    const path = join(output, name);
    const found = await lstat(path).catch(() => undefined);
    if (!found?.isFile() || found.size === 0) throw incomplete(recipe, `left no ${name}`);
    return { bytes: found.size, sha256: await sha256File(path, signal) };
  };
  const disk = await part(DISK_NAMES.qcow2);
  const path = join(output, DISK_NAMES.qcow2);
  await chmod(path, 0o444); // As when it is published: the daemon's umask lets nobody else read it.
  const claim = { path, format: "qcow2", virtualBytesMax: VIRTUAL_BYTES_MAX } as const;
  const inspection = await inspectDisk(claim, signal);
  if ("refused" in inspection)
    throw incomplete(recipe, `${DISK_NAMES.qcow2} ${inspection.refused}`);
  const virtualMiB = inspection.virtualBytes / MIB;
  if (!Number.isInteger(virtualMiB)) throw incomplete(recipe, "a disk of no whole MiB");
  const settings = settingsOf(recipe, base);
  return {
    schema: 1,
    name: recipe.name,
    version: recipe.version,
    ...settings,
    disk: { ...disk, format: "qcow2", virtualMiB },
    ...(settings.boot.kind === "kernel"
      ? { kernel: await part(BOOT_NAMES.kernel), initrd: await part(BOOT_NAMES.initrd) }
      : {}),
    // A derived image has what its base has.
    packages: { ...(recipe.steps && base && (await packagesOf(base))), ...packages },
  };
}

async function packagesOf({ folder, digest }: NonNullable<BuildOrder["base"]>) {
  return (await readManifest(folder, digest)).packages;
}

/** What the recipe says, and for the rest what its base says. */
function settingsOf(recipe: Recipe, base: Image | undefined) {
  const pick = <T>(key: string, own: T | undefined, inherited: T | undefined): T => {
    const value = own ?? inherited;
    if (value === undefined) throw incomplete(recipe, `image.yaml has no ${key}`);
    return value;
  };
  const baseBoot = base && bootSettings(base.boot);
  return {
    architecture: pick("architecture", recipe.architecture, base?.architecture),
    boot: pick("boot", recipe.boot, baseBoot),
    seed: pick("seed", recipe.seed, base?.seed),
    login: pick("login", recipe.login, base?.login),
    memoryMiBMin: pick("memoryMiBMin", recipe.memoryMiBMin, base?.memoryMiBMin),
    readiness: pick("readiness", recipe.readiness, base?.readiness),
  };
}

function bootSettings(boot: Boot): Manifest["boot"] {
  return boot.kind === "uefi" ? boot : { kind: boot.kind, commandLine: boot.commandLine };
}

function incomplete(recipe: Recipe, what: string): Fault {
  return new Fault("image-build-failed", `the recipe of ${recipe.name}: ${what}`, {
    stage: "checks",
  });
}

function lastLine(text: string): string {
  return text.trimEnd().split("\n").at(-1) ?? "";
}

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
  sha256File,
} from "#host/images/store/manifest.ts";
import type { Boot, Image } from "#host/runner/ports.ts";
import { Fault } from "#job/fault.ts";
import { run, SpawnError } from "#lib/spawn.ts";
import type { Recipe } from "./recipe.ts";

const MIB = 1024 * 1024;
/** A line at least so often while a stage runs, so that nobody thinks it hangs. */
const TICK_MS = 10_000;

/**
 * A recipe runs with mounts and process numbers of its own (unshare(1)), so that what it mounts is never below a folder
 * that we remove, and all that it starts dies with its first process, which dies with us (setpriv(1), --pdeathsig).
 */
const CONFINED = [
  "--pdeathsig=KILL",
  "unshare",
  "--mount",
  "--propagation=private",
  "--pid",
  "--fork",
  "--kill-child",
];

export type BuildOrder = {
  readonly store: string;
  readonly recipe: Recipe;
  /** The stored image that `from` names. */
  readonly base: (Image & { readonly folder: string }) | undefined;
  /** Debian packages with versions, as hashed. */
  readonly packages: Readonly<Record<string, string>>;
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
    await runRecipe(order, folder, signal);
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

async function runRecipe(order: BuildOrder, folder: string, signal: AbortSignal): Promise<void> {
  const { recipe, base, packages } = order;
  const stages = new Stages(order.onProgress);
  const args = [join(folder, "image"), join(folder, "scratch"), ...(base ? [base.folder] : [])];
  try {
    await run("setpriv", [...CONFINED, "sh", join(recipe.folder, "build.sh"), ...args], {
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
  } finally {
    stages.stop();
  }
}

/** Reads `stage: …` lines from a recipe's output and tells them, again and again while a stage lasts. */
class Stages {
  current = "start";
  readonly #onProgress: (line: string) => void;
  readonly #startMs = performance.now();
  readonly #timer: NodeJS.Timeout;
  #rest = "";

  constructor(onProgress: (line: string) => void) {
    this.#onProgress = onProgress;
    this.#timer = setInterval(() => this.#tell(), TICK_MS);
  }

  read(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = (lines.pop() ?? "").slice(-4096);
    for (const line of lines) {
      const stage = /^stage: (.{1,80})$/.exec(line)?.[1];
      if (stage === undefined) continue;
      this.current = stage;
      this.#tell();
    }
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #tell(): void {
    const seconds = Math.round((performance.now() - this.#startMs) / 1000);
    this.#onProgress(`${this.current} (${seconds} s)`);
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
    packages: { ...packages },
  };
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

import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type LocalImages, localImages } from "#host/images/local-images.ts";
import type { Derive } from "#host/runner/ports.ts";
import { scratchFolder } from "./scratch.ts";

/** An empty store with a catalogue of its own, whose images are a few bytes and build in milliseconds. */
export type ToyCatalogue = AsyncDisposable & {
  readonly path: string;
  readonly store: string;
  readonly recipes: string;
  readonly images: LocalImages;
  /** Writes or changes a recipe. `script` runs after the output is there; `yaml` adds lines to image.yaml. */
  recipe(name: string, more?: { script?: string; yaml?: string; version?: string }): Promise<void>;
  /** Writes or changes a recipe that runs a step in a machine of `base`. */
  derived(name: string, base: string, yaml?: string): Promise<void>;
};

const SETTINGS = `architecture: x86_64
boot: { kind: kernel, commandLine: console=ttyS0 }
seed: nocloud
login: root
memoryMiBMin: 64
readiness: { consoleSeconds: 1, sshSeconds: 1, settledSeconds: 1 }
`;

/** `derive` stands for the machines of a host; without it there are none. */
export async function toyCatalogue(derive?: Derive): Promise<ToyCatalogue> {
  const { path, [Symbol.asyncDispose]: remove } = await scratchFolder();
  const [store, recipes] = [join(path, "images"), join(path, "recipes")];
  return {
    path,
    store,
    recipes,
    images: localImages({ store, recipes: [recipes] }, derive === undefined ? {} : { derive }),
    async recipe(name, { script = "", yaml = SETTINGS, version = "1" } = {}) {
      const folder = join(recipes, name);
      await mkdir(folder, { recursive: true });
      await writeFile(
        join(folder, "image.yaml"),
        `name: ${name}\nversion: "${version}"\nsummary: A toy\ntools: {}\ntimeoutMinutes: 1\n${yaml}`,
      );
      await writeFile(
        join(folder, "build.sh"),
        `set -eu
echo "stage: toys"
qemu-img create -q -f qcow2 "$1/disk.qcow2" 8M
echo ${name} kernel > "$1/kernel"
echo ${name} initrd > "$1/initrd"
${script}
`,
      );
    },
    async derived(name, base, yaml = "") {
      await mkdir(join(recipes, name), { recursive: true });
      await writeFile(
        join(recipes, name, "image.yaml"),
        `name: ${name}\nversion: "1"\nsummary: A derived toy\nfrom: ${base}\ntimeoutMinutes: 1\nsteps: [{ name: install, run: install }]\n${yaml}`,
      );
    },
    [Symbol.asyncDispose]: remove,
  };
}

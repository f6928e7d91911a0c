import { join } from "node:path";
import { expect, test } from "vitest";
import { digestOf } from "#host/images/catalogue/document.ts";
import { readManifest } from "#host/images/store/manifest.ts";
import { toyCatalogue } from "#test/kit/toy-recipes.ts";

const SETTINGS = `packages: [tzdata, base-files]
architecture: x86_64
boot: { commandLine: console=ttyS0, kind: kernel }
seed: nocloud
login: root
memoryMiBMin: 64
readiness: { settledSeconds: 3, sshSeconds: 2, consoleSeconds: 1 }
`;

test("what a recipe built has the same digest as an entry of a catalogue that says the same", async () => {
  await using toys = await toyCatalogue();
  await toys.recipe("toy", { yaml: SETTINGS });
  const progress = { onProgress: () => undefined, signal: new AbortController().signal };
  const { digest } = await toys.images.build("toy", "recipe", progress);
  const { name, disk, kernel, initrd, ...settings } = await readManifest(
    join(toys.store, digest),
    digest,
  );
  if (kernel === undefined || initrd === undefined) throw new Error("no boot files");
  const files = {
    disk: { url: "disk", compression: "none" as const, ...disk },
    kernel: { url: "kernel", ...kernel },
    initrd: { url: "initrd", ...initrd },
  };
  expect(digestOf(name, { ...settings, files })).toBe(digest);
});

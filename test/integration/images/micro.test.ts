import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { inspectDisk, VIRTUAL_BYTES_MAX } from "#host/images/inspect/inspect-disk.ts";
import { localImages } from "#host/images/local-images.ts";
import { verifyImage } from "#host/images/store/manifest.ts";
import { FIXTURE_IMAGES, ROOT } from "#test/kit/house.ts";
import { kernelBoot } from "#test/kit/kernel-boot.ts";
import { scratchFolder } from "#test/kit/scratch.ts";

const inTime = () => AbortSignal.timeout(300_000);

test("micro builds from Debian packages, once, and others begin with it", {
  timeout: 300_000,
}, async () => {
  await using folder = await scratchFolder();
  const store = join(folder.path, "images");
  const images = localImages({ store, recipes: [FIXTURE_IMAGES, join(ROOT, "images")] });
  const lines: string[] = [];
  const note = (line: string) => lines.push(line);
  const ask = (name: string) => images.resolve(name, note, inTime());

  const [micro, same] = await Promise.all([ask("micro"), ask("micro")]);
  expect(same).toEqual(micro);
  expect(lines.filter((line) => /built in/.test(line))).toHaveLength(1);
  expect(micro).toMatchObject({ architecture: "x86_64", seed: "nocloud", login: "root" });
  const claim = { ...micro.disk, virtualBytesMax: VIRTUAL_BYTES_MAX };
  expect(await inspectDisk(claim, inTime())).toEqual({
    virtualBytes: micro.disk.virtualMiB * 2 ** 20,
  });
  await verifyImage(join(store, micro.digest), micro.digest, inTime());
  const manifest = JSON.parse(await readFile(join(store, micro.digest, "manifest.json"), "utf8"));
  expect(manifest.packages).toMatchObject({ "dropbear-bin": expect.stringMatching(/^\d/) });

  lines.length = 0;
  const startMs = performance.now();
  await ask("micro");
  // It asks apt for nothing, which would take a second.
  expect(performance.now() - startMs).toBeLessThan(500);
  await images.build("micro", "packages", { onProgress: note, signal: inTime() });
  expect(lines).toEqual(["image micro: up to date"]);

  const drill = await ask("unbootable");
  expect(kernelBoot(drill).commandLine).toContain("root=LABEL=nowhere");
  const hung = await ask("hangs-before-ssh");
  expect(hung.readiness.sshSeconds).toBeLessThan(micro.readiness.sshSeconds);
});

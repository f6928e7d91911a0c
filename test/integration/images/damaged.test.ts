import { chmod, readFile, rename, rm, stat, symlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { verifyImage } from "#host/images/store/manifest.ts";
import type { Image } from "#host/runner/ports.ts";
import { Fault } from "#job/fault.ts";
import { kernelBoot } from "#test/kit/kernel-boot.ts";
import { toyCatalogue } from "#test/kit/toy-recipes.ts";

const inTime = () => AbortSignal.timeout(50_000);
const silently = () => undefined;

describe("a stored image", () => {
  test.each<[string, (image: Image) => Promise<void>]>([
    ["has another size", (image) => overwrite(kernelBoot(image).kernel, (text) => `${text}x`)],
    [
      "has another byte",
      (image) => overwrite(kernelBoot(image).kernel, (text) => text.replace("toy", "tOy")),
    ],
    [
      "was replaced by another of its length",
      async (image) => {
        const { kernel } = kernelBoot(image);
        await writeFile(`${kernel}.new`, (await readFile(kernel, "utf8")).replace("toy", "tOy"));
        const { atime, mtime } = await stat(kernel);
        await utimes(`${kernel}.new`, atime, mtime);
        await rename(`${kernel}.new`, kernel);
      },
    ],
    ["is gone", (image) => rm(kernelBoot(image).kernel)],
    ["is a link", (image) => linkInstead(kernelBoot(image).kernel)],
  ])("of which a file %s under a running host is set aside and built again", async (_, damage) => {
    await using toys = await toyCatalogue();
    await toys.recipe("toy");
    const image = await toys.images.resolve("toy", silently, inTime());
    await damage(image);
    const lines: string[] = [];
    const again = await toys.images.resolve("toy", (line) => lines.push(line), inTime());
    expect(lines).toContainEqual(expect.stringMatching(/is damaged and set aside in .*damaged/));
    await verifyImage(join(toys.store, again.digest), again.digest, inTime());
    lines.length = 0;
    expect(await toys.images.resolve("toy", (line) => lines.push(line), inTime())).toEqual(again);
    expect(lines).toEqual([]);
  });

  test("whose files were only touched is read once, and is the same image", async () => {
    await using toys = await toyCatalogue();
    await toys.recipe("toy");
    const image = await toys.images.resolve("toy", silently, inTime());
    const seal = join(toys.store, "facts", image.digest, "seal.json");
    const before = await readFile(seal, "utf8");
    await chmod(kernelBoot(image).kernel, 0o644);
    const lines: string[] = [];
    expect(await toys.images.resolve("toy", (line) => lines.push(line), inTime())).toEqual(image);
    expect(lines).toEqual([]);
    const after = await readFile(seal, "utf8");
    expect(after).not.toBe(before);
    expect(await toys.images.resolve("toy", silently, inTime())).toEqual(image);
    expect(await readFile(seal, "utf8")).toBe(after);
  });

  test("whose seal is lost or damaged is sealed anew", async () => {
    await using toys = await toyCatalogue();
    await toys.recipe("toy");
    const image = await toys.images.resolve("toy", silently, inTime());
    const seal = join(toys.store, "facts", image.digest, "seal.json");
    const before = await readFile(seal, "utf8");
    await writeFile(seal, "{");
    expect(await toys.images.resolve("toy", silently, inTime())).toEqual(image);
    expect(await readFile(seal, "utf8")).toBe(before);
  });

  test("whose manifest was touched, or whose folder is gone, is built again", async () => {
    await using toys = await toyCatalogue();
    await toys.recipe("toy");
    const image = await toys.images.resolve("toy", silently, inTime());
    const folder = join(toys.store, image.digest);
    await overwrite(join(folder, "manifest.json"), (text) => text.replace("root", "toor"));
    const again = await toys.images.resolve("toy", silently, inTime());
    expect(again).toMatchObject({ login: "root" });
    await rm(join(toys.store, again.digest), { recursive: true });
    expect(await toys.images.resolve("toy", silently, inTime())).toMatchObject({ login: "root" });
  });

  test("that is damaged while somebody holds it stays where it is, and another one is built", async () => {
    await using toys = await toyCatalogue();
    await toys.recipe("toy", { script: 'date +%N >> "$1/initrd"' });
    const image = await toys.images.resolve("toy", silently, inTime());
    await using _ = await toys.images.hold(image, inTime());
    await rm(kernelBoot(image).kernel);
    const lines: string[] = [];
    const again = await toys.images.resolve("toy", (line) => lines.push(line), inTime());
    expect(again.digest).not.toBe(image.digest);
    expect(lines).toContainEqual(expect.stringContaining("stays, since it is held by a running"));
    expect((await stat(join(toys.store, image.digest))).isDirectory()).toBe(true);
  });

  test("that is damaged and has no recipe any more is told of", async () => {
    await using toys = await toyCatalogue();
    await toys.recipe("toy");
    const image = await toys.images.resolve("toy", silently, inTime());
    await rm(join(toys.recipes, "toy"), { recursive: true });
    expect(await toys.images.resolve("toy", silently, inTime())).toEqual(image);
    await rm(kernelBoot(image).kernel);
    const fault = await toys.images
      .resolve("toy", silently, inTime())
      .then(() => expect.unreachable("it resolved"), Fault.from);
    expect(fault).toMatchObject({ code: "image-damaged", blame: "host" });
    expect(fault.message).toContain("kernel");
  });
});

async function overwrite(path: string, change: (text: string) => string): Promise<void> {
  await chmod(path, 0o644);
  await writeFile(path, change(await readFile(path, "utf8")));
}

/** The same content, but behind a link. */
async function linkInstead(path: string): Promise<void> {
  await rename(path, `${path}.real`);
  await symlink(`${path}.real`, path);
}

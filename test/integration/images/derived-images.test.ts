import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { inspectDisk, VIRTUAL_BYTES_MAX } from "#host/images/inspect/inspect-disk.ts";
import { verifyImage } from "#host/images/store/manifest.ts";
import { writeOverlay } from "#host/images/store/overlay.ts";
import type { DeriveOrder, Image } from "#host/runner/ports.ts";
import { Fault } from "#job/fault.ts";
import { Ended } from "#job/verdict.ts";
import { run } from "#lib/spawn.ts";
import { kernelBoot } from "#test/kit/kernel-boot.ts";
import { type ToyCatalogue, toyCatalogue } from "#test/kit/toy-recipes.ts";

const inTime = () => AbortSignal.timeout(120_000);
const silently = () => undefined;

/** 64 KiB of one byte each, as `qemu-io` says it. */
const PATTERN = "-P 0x5a 1M 64k";

const qemuIo = (path: string, command: string) =>
  run("qemu-io", ["-f", "qcow2", "-c", command, path], { timeoutMs: 20_000 });

/** Toys and machines of paper: each writes a pattern on its disk, and stops. `disk` may do something else with it. */
async function derivedToys(disk: (path: string, base: Image) => Promise<void> = wroteOn) {
  const orders: DeriveOrder[] = [];
  const toys: ToyCatalogue = await toyCatalogue(async (order, signal) => {
    orders.push(order);
    order.onStage("install");
    const base = await toys.images.resolve(order.spec.image, silently, signal);
    const path = join(order.folder, "overlay");
    await disk(path, base);
    await order.onFrozen(path, signal);
  });
  await toys.recipe("base");
  return { ...toys, orders };
}

async function wroteOn(path: string, base: Image): Promise<void> {
  await writeOverlay(base, path, undefined);
  await qemuIo(path, `write ${PATTERN}`);
}

const faultOf = (asked: Promise<Image>) =>
  asked.then(() => expect.unreachable("it resolved"), Fault.from);

describe("a derived image", () => {
  test("is one file with what the machine wrote, boots as its base does, and leaves that alone", async () => {
    await using toys = await derivedToys();
    await toys.derived("top", "base", "login: tester\n");
    const top = await toys.images.resolve("top", silently, inTime());
    const base = await toys.images.resolve("base", silently, inTime());
    expect(top).toMatchObject({ login: "tester", seed: "nocloud", memoryMiBMin: 64 });
    expect(await readFile(kernelBoot(top).initrd, "utf8")).toBe("base initrd\n");
    expect(
      await inspectDisk(
        { path: top.disk.path, format: "qcow2", virtualBytesMax: VIRTUAL_BYTES_MAX },
        inTime(),
      ),
    ).toEqual({ virtualBytes: 8 * 2 ** 20 });
    expect(await qemuIo(top.disk.path, `read ${PATTERN}`)).not.toContain("failed");
    await verifyImage(join(toys.store, top.digest), top.digest, inTime());
    await verifyImage(join(toys.store, base.digest), base.digest, inTime());
    expect(await readdir(join(toys.store, "building"))).toEqual([]);
  });

  test("is made by the recipe's steps and then cleaned, in a machine of the base by its digest", async () => {
    await using toys = await derivedToys();
    const yaml =
      "inputs: [{ from: files, to: /in }]\ncpus: 3\nmemory: 1GiB\ndisk: 1GiB\ntimeoutMinutes: 7\n";
    await toys.derived("top", "base");
    const file = join(toys.recipes, "top", "image.yaml");
    await writeFile(file, (await readFile(file, "utf8")).replace("timeoutMinutes: 1\n", yaml));
    await mkdir(join(toys.recipes, "top", "files"));
    await toys.images.resolve("top", silently, inTime());
    const base = await toys.images.resolve("base", silently, inTime());
    const spec = toys.orders[0]?.spec;
    expect(spec).toMatchObject({
      image: `base@sha256:${base.digest}`,
      cpus: 3,
      memoryMiB: 1024,
      diskMiB: 1024,
      timeoutSeconds: 420,
      inputs: [{ from: join(toys.recipes, "top", "files"), to: "/in" }],
    });
    expect(spec?.steps.map(({ name }) => name)).toEqual(["install", "clean up"]);
  });

  test("of an image whose login is not root asks first whether it can become root", async () => {
    await using toys = await derivedToys();
    await toys.recipe("mine", { yaml: "from: base\nlogin: tester\n" });
    await toys.derived("top", "mine");
    await toys.images.resolve("top", silently, inTime());
    const [first] = toys.orders[0]?.spec.steps ?? [];
    expect(first?.run).toContain("sudo -n true");
    expect(first?.run).toContain("tester of image mine");
  });

  test("is made once, and again when its recipe or its base changed", async () => {
    await using toys = await derivedToys();
    await toys.derived("top", "base");
    const ask = () => toys.images.resolve("top", silently, inTime());
    const [first] = await Promise.all([ask(), ask()]);
    expect(await ask()).toEqual(first);
    await toys.images.build("top", "packages", { onProgress: silently, signal: inTime() });
    expect(toys.orders).toHaveLength(1);
    await toys.recipe("base", { script: 'echo newer >> "$1/initrd"' });
    const second = await ask();
    expect(await readFile(kernelBoot(second).initrd, "utf8")).toBe("base initrd\nnewer\n");
    await toys.derived("top", "base", "memoryMiBMin: 128\n");
    await ask();
    expect(toys.orders).toHaveLength(3);
  });

  test("can be of an image that is in the store without a recipe", async () => {
    await using toys = await derivedToys();
    const base = await toys.images.resolve("base", silently, inTime());
    await rm(join(toys.recipes, "base"), { recursive: true });
    await toys.derived("top", "base");
    const top = await toys.images.resolve("top", silently, inTime());
    expect(await toys.images.resolve("top", silently, inTime())).toEqual(top);
    expect(toys.orders.map(({ spec }) => spec.image)).toEqual([`base@sha256:${base.digest}`]);
  });

  test("gets the Debian packages that it names, with what they depend on, and says so", async () => {
    let fetched: readonly string[] = [];
    await using toys = await toyCatalogue(async ({ spec }) => {
      const [debs] = spec.inputs;
      expect(debs?.to).toBe("/var/tmp/testbed-debs");
      fetched = await readdir(debs?.from ?? "");
      throw new Fault("machine-crashed", "that will do");
    });
    await toys.recipe("base");
    await toys.derived("top", "base", "debs: [dropbear-bin]\n");
    await faultOf(toys.images.resolve("top", silently, inTime()));
    const names = fetched.map((file) => file.replace(/_.*/, ""));
    expect(names).toEqual(expect.arrayContaining(["dropbear-bin", "libtomcrypt1", "libc6"]));
    expect(fetched.filter((file) => !file.endsWith(".deb"))).toEqual([]);
  });
});

describe("a machine that makes no image", () => {
  const elsewhere = async (path: string, base: Image) => {
    const format = "qcow2";
    await writeOverlay({ ...base, disk: { ...base.disk, path: "/etc/shadow", format } }, path, 8);
  };
  const raw = (path: string) => writeFile(path, "# Disk DescriptorFile\n");

  test.each([
    ["is over another file", elsewhere, "another file than its image's disk"],
    ["is no qcow2", raw, "is no qcow2 file"],
  ])("since its disk %s, is refused before any program reads it", async (_, disk, words) => {
    await using toys = await derivedToys(disk);
    await toys.derived("top", "base");
    const fault = await faultOf(toys.images.resolve("top", silently, inTime()));
    expect(fault).toMatchObject({ code: "image-build-failed", stage: "flatten" });
    expect(fault.message).toContain(words);
    expect(await readdir(join(toys.store, "building"))).toEqual([]);
    expect(await readdir(join(toys.store, "names"))).not.toContain("top.json");
  });

  test.each([
    ["image-build-failed", "building top failed while it was at 'install': exited with status 7"],
    ["machine-crashed", "exited with status 7"],
  ] as const)("is told as what it is: %s", async (code, message) => {
    await using toys = await derivedToys(async () => {
      throw new Fault(code, "exited with status 7", { stage: "install" });
    });
    await toys.derived("top", "base");
    const fault = await faultOf(toys.images.resolve("top", silently, inTime()));
    expect(fault).toMatchObject({ code, message, stage: "install" });
    expect(await readdir(join(toys.store, "building"))).toEqual([]);
  });

  test("since it was cancelled, ends with the signal's own reason, and nothing is left", async () => {
    const cancel = new AbortController();
    const reason = new Ended("cancelled", "Ctrl-C");
    await using toys = await derivedToys(async (path, base) => {
      await wroteOn(path, base);
      cancel.abort(reason);
    });
    await toys.derived("top", "base");
    const asked = toys.images.resolve("top", silently, cancel.signal);
    await expect(asked).rejects.toBe(reason);
    expect(await readdir(join(toys.store, "building"))).toEqual([]);
  });

  test("where there are no machines at all, is said", async () => {
    await using toys = await toyCatalogue();
    await toys.recipe("base");
    await toys.derived("top", "base");
    const fault = await faultOf(toys.images.resolve("top", silently, inTime()));
    expect(fault).toMatchObject({ code: "image-build-failed" });
    expect(fault.message).toContain("no machines here");
  });
});

import { spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { appendFile, mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openSource } from "#host/images/follow/source.ts";
import { localImages } from "#host/images/local-images.ts";
import { verifyImage } from "#host/images/store/manifest.ts";
import type { Image } from "#host/runner/ports.ts";
import { Fault } from "#job/fault.ts";
import { Ended } from "#job/verdict.ts";
import { describeImages } from "#test/contract/images.contract.ts";
import { eventually } from "#test/kit/eventually.ts";
import { ROOT } from "#test/kit/house.ts";
import { kernelBoot } from "#test/kit/kernel-boot.ts";
import { toyCatalogue } from "#test/kit/toy-recipes.ts";

const inTime = () => AbortSignal.timeout(50_000);
const silently = () => undefined;

describeImages("the image store", async () => {
  const toys = await toyCatalogue();
  await toys.recipe("toy");
  return {
    images: toys.images,
    known: "toy",
    folder: toys.path,
    [Symbol.asyncDispose]: () => toys[Symbol.asyncDispose](),
  };
});

async function faultOf(asked: Promise<Image>): Promise<Fault> {
  return asked.then(() => expect.unreachable("it resolved"), Fault.from);
}

describe("a build", () => {
  test("happens once however many ask, and the next ask takes no build at all", async () => {
    await using toys = await toyCatalogue();
    const count = join(toys.path, "count");
    await toys.recipe("toy", { script: `sleep 0.3; echo built >> ${count}` });
    const lines: string[] = [];
    const ask = () => toys.images.resolve("toy", (line) => lines.push(line), inTime());
    const [first] = await Promise.all([ask(), ask(), ask()]);
    expect(lines).toContain("image toy: waiting for another process that builds it");
    expect(lines).toContain("image toy: toys (0 s)");
    lines.length = 0;
    expect(await ask()).toEqual(first);
    expect(lines).toEqual([]);
    expect(await readFile(count, "utf8")).toBe("built\n");
  });

  test("ends in files that nobody may write, in folders that everybody may pass", async () => {
    await using toys = await toyCatalogue();
    await toys.recipe("toy");
    const image = await toys.images.resolve("toy", silently, inTime());
    const folder = join(toys.store, image.digest);
    expect((await readdir(folder)).sort()).toEqual([
      "disk.qcow2",
      "initrd",
      "kernel",
      "manifest.json",
    ]);
    for (const name of await readdir(folder))
      expect((await stat(join(folder, name))).mode & 0o777).toBe(0o444);
    for (const path of [folder, toys.store]) expect((await stat(path)).mode & 0o777).toBe(0o755);
    await verifyImage(folder, image.digest, inTime());
  });

  test("that fails says at which stage and with which words, and leaves nothing", async () => {
    await using toys = await toyCatalogue();
    await toys.recipe("toy", { script: "echo 'the mirror is gone' >&2; exit 7" });
    const fault = await faultOf(toys.images.resolve("toy", silently, inTime()));
    expect(fault).toMatchObject({ code: "image-build-failed", stage: "toys" });
    expect(fault.message).toContain("the mirror is gone");
    expect(await readdir(join(toys.store, "building"))).toEqual([]);
  });

  test("on a full disk says so", async () => {
    await using toys = await toyCatalogue();
    const script = "echo 'write error: No space left on device' >&2; exit 1";
    await toys.recipe("toy", { script });
    expect(await faultOf(toys.images.resolve("toy", silently, inTime()))).toMatchObject({
      code: "host-disk-full",
    });
  });

  test.each([
    [
      "points to another file",
      'qemu-img create -q -f qcow2 -b /etc/passwd -F raw "$1/disk.qcow2" 8M',
      "has a backing file",
    ],
    [
      "is another format",
      'echo "# Disk DescriptorFile" > "$1/disk.qcow2"',
      "is VMDK, and not qcow2 alone",
    ],
    ["is no disk", 'echo hello > "$1/disk.qcow2"', "is no qcow2 file"],
    [
      "is a link to a file",
      'mv "$1/disk.qcow2" "$2/d"; ln -s "$2/d" "$1/disk.qcow2"',
      "left no disk.qcow2",
    ],
    ["is missing", 'rm "$1/disk.qcow2"', "left no disk.qcow2"],
    ["is a link", 'rm "$1/kernel"; ln -s /nowhere "$1/kernel"', "left no kernel"],
  ])("whose output %s is refused", async (_, script, words) => {
    await using toys = await toyCatalogue();
    await toys.recipe("toy", { script });
    const fault = await faultOf(toys.images.resolve("toy", silently, inTime()));
    expect(fault).toMatchObject({ code: "image-build-failed", stage: "checks" });
    expect(fault.message).toContain(words);
  });

  test("that is cancelled kills everything that the recipe started, and leaves nothing", async () => {
    await using toys = await toyCatalogue();
    const sleeper = sleepCommand();
    await toys.recipe("toy", { script: `${sleeper} & wait` });
    const cancel = new AbortController();
    const reason = new Ended("cancelled", "Ctrl-C");
    const asked = toys.images.resolve("toy", silently, cancel.signal);
    await eventually(() => isRunning(sleeper), 10_000);
    cancel.abort(reason);
    await expect(asked).rejects.toBe(reason);
    await eventually(async () => !(await isRunning(sleeper)), 5_000);
    expect(await readdir(join(toys.store, "building"))).toEqual([]);
  });

  test("whose process was killed dies, never becomes an image, and is swept by the next", async () => {
    await using toys = await toyCatalogue();
    const sleeper = sleepCommand();
    await toys.recipe("toy", { script: sleeper });
    const program = `
      import { localImages } from ${JSON.stringify(join(ROOT, "src/host/images/local-images.ts"))};
      const [store, recipes] = process.argv.slice(1);
      const images = localImages({ store, recipes: [recipes] });
      await images.resolve("toy", () => undefined, AbortSignal.timeout(60_000));
    `;
    const args = ["--input-type=module", "-e", program, toys.store, toys.recipes];
    const child = spawn(process.execPath, args, { stdio: "inherit" });
    await eventually(() => isRunning(sleeper), 20_000);
    child.kill("SIGKILL");
    await once(child, "exit");
    await eventually(async () => !(await isRunning(sleeper)), 5_000);
    const building = join(toys.store, "building");
    expect(await readdir(building)).toHaveLength(1);
    expect(await readdir(join(toys.store, "names"))).not.toContain("toy.json");
    await toys.recipe("toy");
    expect(await toys.images.resolve("toy", silently, inTime())).toMatchObject({ name: "toy" });
    expect(await readdir(building)).toEqual([]);
  });

  test("may mount what it likes: nothing of it is seen outside, or removed with its folder", async () => {
    await using toys = await toyCatalogue();
    const kept = join(toys.path, "kept");
    await mkdir(kept);
    await writeFile(join(kept, "file"), "");
    await toys.recipe("toy", { script: `mkdir "$2/m"; mount --bind ${kept} "$2/m"; exit 1` });
    await faultOf(toys.images.resolve("toy", silently, inTime()));
    expect(await readFile("/proc/mounts", "utf8")).not.toContain(toys.path);
    expect(await readdir(kept)).toEqual(["file"]);
    expect(await readdir(join(toys.store, "building"))).toEqual([]);
  });

  test("needs programs that are there; the fault names the package", async () => {
    await using toys = await toyCatalogue();
    await toys.recipe("toy");
    const yaml = join(toys.recipes, "toy", "image.yaml");
    const text = await readFile(yaml, "utf8");
    await writeFile(yaml, text.replace("tools: {}", "tools: { no-such-tool: the-package }"));
    const fault = await faultOf(toys.images.resolve("toy", silently, inTime()));
    expect(fault).toMatchObject({ code: "host-tool-missing" });
    expect(fault.message).toContain("apt-get install the-package");
  });

  test("on another Debian says which one it needs", async () => {
    await using toys = await toyCatalogue();
    await toys.recipe("toy");
    await appendFile(join(toys.recipes, "toy", "image.yaml"), "releases: [buzz]\n");
    const fault = await faultOf(toys.images.resolve("toy", silently, inTime()));
    expect(fault.message).toContain("Debian buzz");
  });
});

describe("a stored image", () => {
  test("is built again when its recipe changed, and its old version can still be named", async () => {
    await using toys = await toyCatalogue();
    await toys.recipe("toy", { version: "1" });
    const old = await toys.images.resolve("toy", silently, inTime());
    await toys.recipe("toy", { version: "2", script: 'echo more >> "$1/initrd"' });
    const fresh = await toys.images.resolve("toy", silently, inTime());
    expect(fresh.digest).not.toBe(old.digest);
    expect(await toys.images.resolve("toy:1", silently, inTime())).toEqual(old);
    expect(await toys.images.resolve("toy:2", silently, inTime())).toEqual(fresh);
    expect(await toys.images.resolve(`toy@sha256:${old.digest}`, silently, inTime())).toEqual(old);
    const fault = await faultOf(toys.images.resolve("toy:3", silently, inTime()));
    expect(fault.message).toContain("versions here: 2, 1");
    await toys.recipe("other");
    const wrongName = toys.images.resolve(`other@sha256:${old.digest}`, silently, inTime());
    expect((await faultOf(wrongName)).message).toContain("this digest is of image toy");
  });

  test("that begins with another is built again when that one changed", async () => {
    await using toys = await toyCatalogue();
    await toys.recipe("base");
    await toys.recipe("top", {
      yaml: "from: base\nlogin: tester\n",
      script: 'cat "$3/initrd" >> "$1/initrd"',
    });
    const top = await toys.images.resolve("top", silently, inTime());
    expect(top).toMatchObject({ login: "tester", seed: "nocloud", memoryMiBMin: 64 });
    expect(await readFile(kernelBoot(top).initrd, "utf8")).toBe("top initrd\nbase initrd\n");
    await toys.recipe("base", { script: 'echo newer > "$1/initrd"' });
    const fresh = await toys.images.resolve("top", silently, inTime());
    expect(await readFile(kernelBoot(fresh).initrd, "utf8")).toBe("top initrd\nnewer\n");
  });

  test("cannot begin with itself, nor with what nobody knows", async () => {
    await using toys = await toyCatalogue();
    await toys.recipe("one", { yaml: "from: two\n" });
    await toys.recipe("two", { yaml: "from: one\n" });
    await toys.recipe("orphan", { yaml: "from: nobody\n" });
    const circle = await faultOf(toys.images.resolve("one", silently, inTime()));
    expect(circle.message).toContain("begins with itself");
    const orphan = await faultOf(toys.images.resolve("orphan", silently, inTime()));
    expect(orphan.message).toContain("recipe orphan begins with it");
  });

  test.each(["", "{", "[]", '{"schema":1,"current":"../../etc"}'])(
    "whose entry was overwritten with %j is built again",
    async (garbage) => {
      await using toys = await toyCatalogue();
      await toys.recipe("toy");
      const image = await toys.images.resolve("toy", silently, inTime());
      await writeFile(join(toys.store, "names", "toy.json"), garbage);
      expect(await toys.images.resolve("toy", silently, inTime())).toEqual({
        ...image,
        digest: expect.stringMatching(/^\w{64}$/),
        disk: expect.anything(),
        boot: expect.anything(),
      });
    },
  );

  test("is built again in any case when somebody insists", async () => {
    await using toys = await toyCatalogue();
    const count = join(toys.path, "count");
    await toys.recipe("toy", { script: `echo built >> ${count}` });
    const progress = { onProgress: silently, signal: inTime() };
    await toys.images.build("toy", "packages", progress);
    await toys.images.build("toy", "packages", progress);
    expect(await readFile(count, "utf8")).toBe("built\n");
    await toys.images.build("toy", "always", progress);
    expect(await readFile(count, "utf8")).toBe("built\nbuilt\n");
  });
});

/** A command that lasts, and that no other test runs. */
function sleepCommand(): string {
  return `sleep 1000.${randomInt(1e9)}`;
}

async function isRunning(command: string): Promise<boolean> {
  for (const pid of await readdir("/proc")) {
    const line = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    if (line.replaceAll("\0", " ").trim() === command) return true;
  }
  return false;
}

test("who asks for an image before its catalogue was taken is told what to run", async () => {
  await using toys = await toyCatalogue();
  const source = openSource({
    ...{ url: undefined, path: "/srv/images", keys: [], allowUnsigned: true },
    ...{ hosts: [], allowAddresses: [], ca: undefined },
  });
  const { resolve } = localImages({ store: toys.store, recipes: [], sources: [source] });
  await expect(resolve("doll", silently, inTime())).rejects.toThrow(
    "the catalogue at /srv/images/catalogue.json was not taken yet: run 'testbed image refresh'",
  );
});

import { execFile } from "node:child_process";
import { appendFile, chmod, mkdir, readdir, readFile, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { STATE_NAMES } from "#host/runner/state-folder.ts";
import { command, PATH } from "#test/kit/command.ts";
import { ROOT } from "#test/kit/house.ts";
import { type ToyCatalogue, toyCatalogue } from "#test/kit/toy-recipes.ts";

const call = promisify(execFile);
const inTime = () => AbortSignal.timeout(50_000);
const silently = () => undefined;

function image(toys: ToyCatalogue, ...args: string[]) {
  const env = { PATH, TESTBED_STATE: toys.path, TESTBED_CATALOGUE: toys.recipes };
  return command(join(ROOT, "bin/testbed"), ["image", ...args], { env });
}

async function json(toys: ToyCatalogue, ...args: string[]) {
  return JSON.parse((await image(toys, ...args, "--json")).stdout);
}

/** Three versions of `toy`, that all look as if they came long ago. */
async function threeOldVersions(toys: ToyCatalogue): Promise<readonly string[]> {
  const digests: string[] = [];
  for (const version of ["1", "2", "3"]) {
    await toys.recipe("toy", { version, script: `echo ${version} >> "$1/initrd"` });
    const { digest } = await toys.images.resolve("toy", silently, inTime());
    digests.push(digest);
    for (const path of [join(toys.store, digest), join(toys.store, "facts", digest, "used")])
      await utimes(path, 1_000_000_000, 1_000_000_000);
  }
  return digests;
}

test("`testbed image list` shows what the store has and what it could build", async () => {
  await using toys = await toyCatalogue();
  const [one, two, three] = await threeOldVersions(toys);
  await toys.recipe("other");
  const { exitCode, stdout } = await image(toys, "list");
  expect(exitCode).toBe(0);
  expect(stdout).toMatch(/^NAME +VERSION +MEANS +DIGEST +SIZE +BOOT +FROM +SMOKE +USED +HELD BY\n/);
  expect(stdout).toMatch(
    new RegExp(`^toy +3 +current +${three?.slice(0, 12)} .* kernel +recipe`, "m"),
  );
  expect(stdout).toMatch(/^other +1 +not built/m);
  const { images } = await json(toys, "list");
  const ours = images.filter(({ name }: { name: string }) => name === "toy" || name === "other");
  expect(ours).toMatchObject([
    { name: "toy", version: "3", digest: three, means: "current", boot: "kernel" },
    { name: "toy", version: "2", digest: two, means: "previous" },
    { name: "toy", version: "1", digest: one, means: "other", origin: { kind: "recipe" } },
    { name: "other", means: "not built" },
  ]);
});

test("`testbed image show` tells all about one, by name, version or digest", async () => {
  await using toys = await toyCatalogue();
  const [one, , three] = await threeOldVersions(toys);
  const shown = await image(toys, "show", "toy");
  expect(shown.stdout).toContain(`sha256:${three}`);
  expect(shown.stdout).toMatch(/^prune +stays: current of toy$/m);
  expect(shown.stdout).toContain(join(toys.store, three ?? "", "manifest.json"));
  for (const reference of ["toy:1", `toy@sha256:${one}`])
    expect(await json(toys, "show", reference)).toMatchObject({
      digest: one,
      pruning: { goes: true, why: "older than 30 d and not used since 2001-09-09" },
    });
  const wrong = await image(toys, "show", "toi");
  expect(wrong).toMatchObject({ exitCode: 2, stdout: "" });
  expect(wrong.stderr).toContain("did you mean 'toy'?");
  expect((await image(toys, "show", "toy:9")).stderr).toContain(
    "versions of toy in the store: 3, 2, 1",
  );
});

test("`testbed image verify` names damage with exit status 3, and repairs it", async () => {
  await using toys = await toyCatalogue();
  const [one, , three] = await threeOldVersions(toys);
  expect(await image(toys, "verify")).toMatchObject({
    exitCode: 0,
    stdout: "3 images read: nothing is damaged\n",
  });
  const kernel = join(toys.store, three ?? "", "kernel");
  await chmod(kernel, 0o644);
  await appendFile(kernel, "x");
  const found = await image(toys, "verify", "toy");
  expect(found.exitCode).toBe(3);
  expect(found.stdout).toMatch(new RegExp(`^${three}/kernel: has \\d+ bytes, not \\d+$`, "m"));
  expect(await image(toys, "verify", `toy@sha256:${one}`)).toMatchObject({ exitCode: 0 });
  expect(await json(toys, "verify")).toMatchObject({
    images: 3,
    damages: [{ kind: "long", digest: three }, { kind: "mode" }],
  });
  expect(await image(toys, "verify", "--repair")).toMatchObject({ exitCode: 0 });
  expect(await image(toys, "verify")).toMatchObject({ exitCode: 0 });
  expect(await readdir(join(toys.store, "damaged"))).toHaveLength(1);
});

test("`testbed image prune` says of each why it stays or goes, and only then removes it", async () => {
  await using toys = await toyCatalogue();
  const [one, two] = await threeOldVersions(toys);
  const planned = await json(toys, "prune", "--dry-run");
  expect(planned).toMatchObject({ dryRun: true, freedBytes: expect.any(Number) });
  expect(planned.images.find(({ digest }: { digest: string }) => digest === one)).toMatchObject({
    goes: true,
    why: "older than 30 d and not used since 2001-09-09",
  });
  expect((await json(toys, "list")).images[2]).toMatchObject({ digest: one });
  const kept = await image(toys, "prune", "--pin", "toy:1");
  expect(kept.stdout).toMatch(/^toy:1 .* stays +pinned$/m);
  const more = await image(toys, "prune", "--keep", "3");
  expect(more.stdout).toMatch(/^toy:1 .* stays +one of the newest 3 versions of toy$/m);
  const done = await image(toys, "prune");
  expect(done.stderr).toMatch(/^removed toy:1 \(.*\): older than 30 d/m);
  expect(await readdir(toys.store)).not.toContain(one);
  expect(await readdir(toys.store)).toContain(two);
  expect(await image(toys, "prune", "--older-than", "soon")).toMatchObject({ exitCode: 2 });
});

test("`testbed image prune` leaves the image of a machine's disk", async () => {
  await using toys = await toyCatalogue();
  const [one] = await threeOldVersions(toys);
  await image(toys, "list");
  const installation = (await readFile(join(toys.path, STATE_NAMES.installation), "utf8")).slice(
    0,
    8,
  );
  const machine = join(toys.path, STATE_NAMES.machines, `testbed-${installation}-0123456789abcdef`);
  await mkdir(machine, { recursive: true });
  const stored = await toys.images.resolve("toy:1", silently, inTime());
  await toys.images.overlay(stored, join(machine, "disk.qcow2"), undefined, inTime());
  await utimes(join(toys.store, "facts", stored.digest, "used"), 1, 1);
  const { images } = await json(toys, "prune");
  expect(images.find(({ digest }: { digest: string }) => digest === one)).toMatchObject({
    goes: false,
    why: expect.stringMatching(/^disk of machine testbed-/),
  });
});

test("`testbed image import` and `export` go there and back", async () => {
  await using toys = await toyCatalogue();
  const disk = join(toys.path, "cloud.qcow2");
  await call("qemu-img", ["create", "-q", "-f", "qcow2", disk, "16M"]);
  const settings = ["--name", "cloud", "--login", "debian", "--memory", "512MiB"];
  const imported = await image(toys, "import", disk, ...settings, "--version", "1");
  expect(imported).toMatchObject({
    exitCode: 0,
    stdout: expect.stringMatching(/^cloud:1 sha256:\w{64}\n$/),
  });
  const shown = await json(toys, "show", "cloud");
  expect(shown).toMatchObject({
    boot: "uefi",
    seed: "cloud-init",
    origin: { kind: "import", by: disk },
  });
  const to = join(toys.path, "out");
  const exported = await json(toys, "export", "cloud", "--to", to);
  expect(exported).toMatchObject({ folder: join(to, "cloud", "1"), digest: shown.digest });
  await using elsewhere = await toyCatalogue();
  expect(await json(elsewhere, "import", exported.folder)).toMatchObject({ digest: shown.digest });
  expect((await json(elsewhere, "list")).images[0]).toMatchObject({ digest: shown.digest });
});

test.each([
  ["--name is missing", ["--login", "root", "--memory", "64MiB"]],
  ["--memory is missing", ["--name", "x", "--login", "root"]],
  ["--login is missing", ["--name", "x", "--memory", "64MiB"]],
  ["--name must match", ["--name", "../x", "--login", "root", "--memory", "64MiB"]],
  ["needs --kernel", ["--name", "x", "--login", "root", "--memory", "64MiB", "--boot", "kernel"]],
  [
    "are for --boot kernel",
    ["--name", "x", "--login", "root", "--memory", "64MiB", "--kernel", "k"],
  ],
])("`testbed image import` says that %s", async (words, args) => {
  await using toys = await toyCatalogue();
  const disk = join(toys.path, "file");
  await writeFile(disk, "x");
  const wrong = await image(toys, "import", disk, ...args);
  expect(wrong).toMatchObject({ exitCode: 2, stdout: "" });
  expect(wrong.stderr).toContain(words);
});

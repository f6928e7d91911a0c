import {
  appendFile,
  chmod,
  mkdir,
  readFile,
  rename,
  rm,
  symlink,
  truncate,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { repairStore } from "#host/images/store/repair.ts";
import { type DamageKind, verifyStore } from "#host/images/store/verify.ts";
import type { Image } from "#host/runner/ports.ts";
import { FileLock } from "#lib/file-lock.ts";
import { type ToyCatalogue, toyCatalogue } from "#test/kit/toy-recipes.ts";

const inTime = () => AbortSignal.timeout(50_000);
const silently = () => undefined;
const reading = () => ({ onBytes: silently, signal: inTime() });

async function withImage(): Promise<{ toys: ToyCatalogue; image: Image; folder: string }> {
  const toys = await toyCatalogue();
  await toys.recipe("toy");
  const image = await toys.images.resolve("toy", silently, inTime());
  return { toys, image, folder: join(toys.store, image.digest) };
}

async function overwrite(path: string, change: (text: string) => string): Promise<void> {
  const text = await readFile(path, "utf8");
  await chmod(path, 0o644);
  await writeFile(path, change(text));
  await chmod(path, 0o444);
}

type Case = readonly [
  string,
  DamageKind,
  string,
  (folder: string, store: string) => Promise<unknown>,
];

/** What is done to a whole image, what is found, and in which file. */
const RUINED: readonly Case[] = [
  ["a file is missing", "missing", "kernel", (folder) => rm(join(folder, "kernel"))],
  ["a file is short", "short", "kernel", (folder) => truncate(join(folder, "kernel"), 3)],
  ["a file is long", "long", "initrd", (folder) => appendFile(join(folder, "initrd"), "x")],
  [
    "a byte is another",
    "altered",
    "kernel",
    (folder) => overwrite(join(folder, "kernel"), (text) => text.replace("toy", "tOy")),
  ],
  [
    "a file is a link to an equal one",
    "not-a-file",
    "kernel",
    async (folder, store) => {
      await rename(join(folder, "kernel"), join(store, "names", "kernel"));
      await symlink(join(store, "names", "kernel"), join(folder, "kernel"));
    },
  ],
  [
    "a file is a folder",
    "not-a-file",
    "kernel",
    async (folder) => {
      await rm(join(folder, "kernel"));
      await mkdir(join(folder, "kernel"));
    },
  ],
  [
    "the manifest is another",
    "manifest",
    "manifest.json",
    (folder) => overwrite(join(folder, "manifest.json"), (text) => text.replace("root", "toor")),
  ],
  [
    "the manifest is empty",
    "manifest",
    "manifest.json",
    (folder) => overwrite(join(folder, "manifest.json"), () => ""),
  ],
  [
    "the manifest is missing",
    "manifest",
    "manifest.json",
    (folder) => rm(join(folder, "manifest.json")),
  ],
];

const REPAIRABLE: readonly Case[] = [
  [
    "a file can be written",
    "mode",
    "disk.qcow2",
    (folder) => chmod(join(folder, "disk.qcow2"), 0o644),
  ],
  [
    "the manifest can be written",
    "mode",
    "manifest.json",
    (folder) => chmod(join(folder, "manifest.json"), 0o666),
  ],
  ["the folder is open to all", "mode", "", (folder) => chmod(folder, 0o777)],
  [
    "a strange file lies in it",
    "foreign",
    "notes.txt",
    (folder) => writeFile(join(folder, "notes.txt"), ""),
  ],
];

describe("verify", () => {
  test("finds nothing wrong with a whole store, and tells how far it is", async () => {
    const { toys } = await withImage();
    await using _ = toys;
    const told: (readonly [number, number])[] = [];
    const onBytes = (done: number, all: number) => told.push([done, all]);
    expect(await verifyStore(toys.store, undefined, { onBytes, signal: inTime() })).toEqual([]);
    const [done, all] = told.at(-1) ?? [];
    expect(done).toBe(all);
    expect(all).toBeGreaterThan(196_000);
  });

  test.each(RUINED)(
    "names it when %s; repair sets the image aside, and it is built again",
    async (_, kind, file, damage) => {
      const { toys, image, folder } = await withImage();
      await using __ = toys;
      await damage(folder, toys.store);
      const found = await verifyStore(toys.store, [image.digest], reading());
      expect(found.map((one) => [one.kind, one.path])).toContainEqual([
        kind,
        join(image.digest, file),
      ]);
      expect(found.every(({ digest }) => digest === image.digest)).toBe(true);
      const said = await repairStore({ store: toys.store }, found, inTime());
      expect(said[0]).toContain("set aside in");
      expect(
        await verifyStore(toys.store, undefined, reading()).then((all) =>
          all.filter(({ path }) => path !== "names/kernel"),
        ),
      ).toEqual([]);
      const again = await toys.images.resolve("toy", silently, inTime());
      expect(await verifyStore(toys.store, [again.digest], reading())).toEqual([]);
    },
  );

  test.each(REPAIRABLE)(
    "names it when %s; repair puts it right, and the image stays",
    async (_, kind, file, damage) => {
      const { toys, image, folder } = await withImage();
      await using __ = toys;
      await damage(folder, toys.store);
      const found = await verifyStore(toys.store, undefined, reading());
      expect(found).toMatchObject([{ kind, path: join(image.digest, file), digest: image.digest }]);
      await repairStore({ store: toys.store }, found, inTime());
      expect(await verifyStore(toys.store, undefined, reading())).toEqual([]);
      expect((await toys.images.resolve("toy", silently, inTime())).digest).toBe(image.digest);
    },
  );

  test.each<
    readonly [string, DamageKind, string, (store: string, digest: string) => Promise<unknown>]
  >([
    [
      "a name cannot be read",
      "name-unreadable",
      "names/toy.json",
      (store) => writeFile(join(store, "names/toy.json"), "{"),
    ],
    [
      "a name points nowhere",
      "name-dangling",
      "names/toy.json",
      (store, digest) => rm(join(store, digest), { recursive: true }),
    ],
    [
      "a build was killed",
      "half-made",
      "building/toy.0badcafe",
      (store) => mkdir(join(store, "building/toy.0badcafe")),
    ],
    [
      "a prune was killed",
      "half-made",
      "removing/x",
      (store) => mkdir(join(store, "removing/x"), { recursive: true }),
    ],
    [
      "a strange folder lies there",
      "foreign",
      "lost+found",
      (store) => mkdir(join(store, "lost+found")),
    ],
  ])("names it when %s, and repair leaves nothing of it", async (_, kind, path, damage) => {
    const { toys, image } = await withImage();
    await using __ = toys;
    await damage(toys.store, image.digest);
    const found = await verifyStore(toys.store, undefined, reading());
    expect(found).toContainEqual(expect.objectContaining({ kind, path }));
    await repairStore({ store: toys.store }, found, inTime());
    expect(await verifyStore(toys.store, undefined, reading())).toEqual([]);
    expect(await toys.images.resolve("toy", silently, inTime())).toMatchObject({ name: "toy" });
  });

  test("does not take a build that goes on for damage", async () => {
    const { toys } = await withImage();
    await using _ = toys;
    await mkdir(join(toys.store, "building/toy.0badcafe"));
    using __ = FileLock.tryTake(join(toys.store, "names/toy.lock"));
    expect(await verifyStore(toys.store, undefined, reading())).toEqual([]);
  });

  test("stops when it is told to, with the reason", async () => {
    const { toys } = await withImage();
    await using _ = toys;
    const stop = new AbortController();
    const reason = new Error("enough");
    const onBytes = () => stop.abort(reason);
    const asked = verifyStore(toys.store, undefined, { onBytes, signal: stop.signal });
    await expect(asked).rejects.toBe(reason);
  });

  test("repair leaves a ruined image where it is while somebody holds it", async () => {
    const { toys, image, folder } = await withImage();
    await using _ = toys;
    await using hold = await toys.images.hold(image, inTime());
    expect(hold).toBeDefined();
    await rm(join(folder, "kernel"));
    const found = await verifyStore(toys.store, undefined, reading());
    const said = await repairStore({ store: toys.store }, found, inTime());
    expect(said).toEqual([`${image.digest}: stays, since it is held by a running attempt`]);
  });
});

import { execFile } from "node:child_process";
import { link, mkdir, readdir, rename, stat, symlink, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { type ImportOrder, importImage } from "#host/images/exchange/import-image.ts";
import { localImages } from "#host/images/local-images.ts";
import { readEntry } from "#host/images/store/entry.ts";
import { readOrigin } from "#host/images/store/facts.ts";
import { verifyImage } from "#host/images/store/manifest.ts";
import { recoverStore } from "#host/images/store/recover.ts";
import { verifyStore } from "#host/images/store/verify.ts";
import {
  type ExchangeRoom,
  exchangeRoom,
  expectNothingHalfMade,
  files,
  quietly,
  refusal,
} from "#test/kit/exchange-room.ts";
import { rawDisk } from "#test/kit/raw-disk.ts";
import { smallDisk } from "#test/kit/small-disk.ts";
import { toyChild } from "#test/kit/toy-child.ts";

const call = promisify(execFile);
const inTime = () => AbortSignal.timeout(50_000);
const silently = () => undefined;

describe("an import", () => {
  test("is an image like any other from then on, a copy of its own", async () => {
    await using here = await exchangeRoom();
    const { catalogue, disk } = here;
    const imported = await importImage(catalogue, files(disk), quietly());
    expect(imported).toMatchObject({ name: "cloud", version: "1", isNew: true });
    const images = localImages(catalogue);
    for (const reference of ["cloud", "cloud:1", `cloud@sha256:${imported.digest}`])
      expect(await images.resolve(reference, silently, inTime())).toMatchObject({
        digest: imported.digest,
        boot: { kind: "uefi" },
        disk: { format: "qcow2", virtualMiB: 16 },
      });
    expect(await images.offered()).toMatchObject([{ name: "cloud", digest: imported.digest }]);
    const stored = join(catalogue.store, imported.digest, "disk.qcow2");
    expect((await stat(stored)).ino).not.toBe((await stat(disk)).ino);
    expect((await stat(stored)).mode & 0o777).toBe(0o444);
    expect(await readOrigin(catalogue.store, imported.digest)).toMatchObject({
      kind: "import",
      by: disk,
    });
    // What becomes of the file is nothing to the image.
    await truncate(disk, 0);
    await verifyImage(join(catalogue.store, imported.digest), imported.digest, inTime());
    await expectNothingHalfMade(catalogue);
  });

  test("of the same again is there already; of another by the same version is refused", async () => {
    await using here = await exchangeRoom();
    const { catalogue, disk } = here;
    const first = await importImage(catalogue, files(disk), quietly());
    expect(await importImage(catalogue, files(disk), quietly())).toEqual({
      ...first,
      isNew: false,
    });
    const other = importImage(catalogue, files(disk, { login: "root" }), quietly());
    expect(await refusal(other)).toContain("a version never changes");
    expect(await localImages(catalogue).resolve("cloud", silently, inTime())).toMatchObject({
      login: "debian",
    });
    const second = await importImage(
      catalogue,
      files(disk, { version: "2", login: "root" }),
      quietly(),
    );
    expect(await readEntry(catalogue.store, "cloud")).toEqual({
      schema: 2,
      current: second.digest,
      previous: first.digest,
      versions: { "1": first.digest, "2": second.digest },
      order: ["1", "2"],
    });
    await expectNothingHalfMade(catalogue);
  });

  test("keeps the holes of a raw disk", async () => {
    await using here = await exchangeRoom();
    const { catalogue, path } = here;
    const raw = join(path, "disk.raw");
    await rawDisk(raw, "");
    await truncate(raw, 64 * 2 ** 20);
    const order = files(raw, {}, { format: "raw" });
    const { digest } = await importImage(catalogue, order, quietly());
    const stored = await stat(join(catalogue.store, digest, "disk.raw"));
    expect(stored.size).toBe(64 * 2 ** 20);
    expect(stored.blocks * 512).toBeLessThan(2 * 2 ** 20);
    await verifyImage(join(catalogue.store, digest), digest, inTime());
  });

  test.each<readonly [string, string, (room: ExchangeRoom) => Promise<ImportOrder>]>([
    ["is missing", "cannot be read", async ({ path }) => files(join(path, "nothing"))],
    ["is a folder", "is not a regular file", async ({ path }) => files(path)],
    [
      "is a FIFO",
      "is not a regular file",
      async ({ path }) => {
        await call("mkfifo", [join(path, "fifo")]);
        return files(join(path, "fifo"));
      },
    ],
    [
      "is empty",
      "is empty",
      async ({ disk }) => {
        await truncate(disk, 0);
        return files(disk);
      },
    ],
    [
      "is no qcow2",
      "is no qcow2 file",
      async ({ path }) => {
        await writeFile(join(path, "text"), "no disk ".repeat(100));
        return files(join(path, "text"));
      },
    ],
    [
      "has a backing file",
      "has a backing file",
      async ({ path }) => {
        const top = join(path, "top.qcow2");
        await call("qemu-img", [
          "create",
          "-q",
          "-f",
          "qcow2",
          "-b",
          "/etc/passwd",
          "-F",
          "raw",
          top,
          "1M",
        ]);
        return files(top);
      },
    ],
    [
      "is a qcow2 said to be raw",
      "is qcow2, and not raw alone",
      async ({ disk }) => files(disk, {}, { format: "raw" }),
    ],
    [
      "is compressed, by another name",
      "is gzip, and not qcow2 alone",
      async ({ disk, path }) => {
        await call("gzip", [disk]);
        await rename(`${disk}.gz`, join(path, "other"));
        return files(join(path, "other"));
      },
    ],
    [
      "is of a recipe's name",
      "is built from a recipe here",
      async ({ disk, catalogue }) => {
        const folder = join(catalogue.recipes[0] ?? "", "cloud");
        await mkdir(folder, { recursive: true });
        await writeFile(
          join(folder, "image.yaml"),
          "name: cloud\nversion: '1'\nsummary: x\ntools: {}\ntimeoutMinutes: 1\n",
        );
        await writeFile(join(folder, "build.sh"), "");
        return files(disk);
      },
    ],
  ])("of what %s is refused, and leaves nothing", async (_, words, make) => {
    await using here = await exchangeRoom();
    const order = await make(here);
    expect(await refusal(importImage(here.catalogue, order, quietly()))).toContain(words);
    await expectNothingHalfMade(here.catalogue);
    expect(await readEntry(here.catalogue.store, "cloud")).toBeUndefined();
  });

  test("through a link, or of a file with a second name, is of the file itself", async () => {
    await using here = await exchangeRoom();
    const { catalogue, disk, path } = here;
    await symlink(disk, join(path, "soft"));
    await link(disk, join(path, "hard"));
    const one = await importImage(catalogue, files(join(path, "soft")), quietly());
    expect(await importImage(catalogue, files(join(path, "hard")), quietly())).toEqual({
      ...one,
      isNew: false,
    });
  });

  test("on a full disk says so and leaves nothing half-made; with room it goes well", async () => {
    await using here = await exchangeRoom();
    await using small = await smallDisk(4);
    const catalogue = { store: join(small.path, "images"), recipes: [] };
    const raw = join(here.path, "disk.raw");
    await rawDisk(raw, Buffer.alloc(8 * 2 ** 20, 1));
    const order = files(raw, {}, { format: "raw" });
    await expect(importImage(catalogue, order, quietly())).rejects.toMatchObject({
      code: "host-disk-full",
    });
    await expectNothingHalfMade(catalogue);
    expect(await small.freeMiB()).toBeGreaterThan(3);
    await small.leave(20);
    expect(await importImage(catalogue, order, quietly())).toMatchObject({ isNew: true });
    await expectNothingHalfMade(catalogue);
  });

  test("that is stopped ends with the reason, and leaves nothing", async () => {
    await using here = await exchangeRoom();
    const stop = new AbortController();
    const reason = new Error("enough");
    const progress = { ...quietly(), onBytes: () => stop.abort(reason), signal: stop.signal };
    await expect(importImage(here.catalogue, files(here.disk), progress)).rejects.toBe(reason);
    await expectNothingHalfMade(here.catalogue);
  });

  test("that is killed is no image, and the next start sweeps what it left", async () => {
    await using here = await exchangeRoom();
    const { catalogue, path } = here;
    const { store } = catalogue;
    const raw = join(path, "disk.raw");
    await rawDisk(raw, Buffer.alloc(4 * 2 ** 20, 1));
    const order = files(raw, {}, { format: "raw" });
    await using child = toyChild(IMPORTER, [JSON.stringify(catalogue), JSON.stringify(order)]);
    await child.says("half");
    await child.kill();
    expect(await readdir(join(store, "building"))).toHaveLength(1);
    const found = await verifyStore(store, undefined, { onBytes: silently, signal: inTime() });
    expect(found).toMatchObject([{ kind: "half-made" }]);
    expect(await recoverStore(store, inTime())).toEqual([
      expect.stringContaining("a build that was killed"),
    ]);
    await expectNothingHalfMade(catalogue);
    expect(await importImage(catalogue, order, quietly())).toMatchObject({ isNew: true });
  });
});

/** Says `half` when half of the file is copied, and waits for its end. */
const IMPORTER = `
import { writeSync } from "node:fs";
import { importImage } from at("src/host/images/exchange/import-image.ts");
const [catalogue, order] = process.argv.slice(1).map((text) => JSON.parse(text));
const onBytes = (done, all) => {
  if (done < all / 2) return;
  writeSync(1, "half\\n");
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 60_000);
};
await importImage(catalogue, order, { onProgress: () => undefined, onBytes, signal: AbortSignal.timeout(60_000) });
`;

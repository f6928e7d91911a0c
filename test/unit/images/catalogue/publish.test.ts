import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { readDocument } from "#host/images/catalogue/document.ts";
import {
  adminFolder,
  catalogueYaml,
  contentOf,
  NOW_MS,
  PLAIN_DISK,
  publish,
  versionYaml,
} from "#test/kit/admin-catalogue.ts";
import { ROOT } from "#test/kit/house.ts";

const ONE = catalogueYaml(versionYaml("1", PLAIN_DISK));

describe("publishing a catalogue", () => {
  test("computes what hosts need, and writes what they read", async () => {
    const [kernel, initrd, disk] = ["a kernel", "an initrd", Buffer.alloc(100_000, "disk")];
    await using folder = await adminFolder({
      "toy/1/kernel": kernel,
      "toy/1/initrd": initrd,
      "toy/1/disk.qcow2.zst": zstdCompressSync(disk),
      "toy/1/disk.qcow2.gz": gzipSync(disk),
      "catalogue.yaml": `name: house
expires: 2d
images:
  - name: toy
    summary: A toy
    licence: MIT
    homepage: https://toys.test/
    labels: { b: two, a: one }
    aliases: [toy-latest]
    deprecated: { on: 2031-01-01, use: other }
    versions:
${versionYaml("2", "{ file: toy/1/disk.qcow2.gz, compression: gzip, format: qcow2, virtualMiB: 512 }", "        packages: { bash: '5', apt: '2' }\n        withdrawn: it is bad\n").replace("{ kind: uefi }", "{ kind: kernel, commandLine: quiet }").replace(" } }", " }, kernel: { file: toy/1/kernel }, initrd: { file: toy/1/initrd } }")}${versionYaml("1", "{ file: toy/1/disk.qcow2.zst, compression: zstd, format: qcow2, virtualMiB: 512 }")}`,
    });
    const { document, isWritten, path } = await publish(folder);
    expect({ isWritten, path }).toEqual({
      isWritten: true,
      path: join(folder.path, "catalogue.json"),
    });
    expect(readDocument(await readFile(path))).toEqual(document);
    expect(document).toMatchObject({ version: 1, expires: "2030-01-03T00:00:00Z" });
    const [two, one] = document.images[0]?.versions ?? [];
    const packed = contentOf(gzipSync(disk));
    expect(two?.files.disk).toMatchObject({
      ...{ url: "toy/1/disk.qcow2.gz", ...packed },
      unpacked: contentOf(disk),
    });
    expect(two?.files.kernel).toEqual({ url: "toy/1/kernel", ...contentOf(kernel) });
    expect(two?.withdrawn).toBe("it is bad");
    expect(one?.files.disk).toMatchObject({
      ...contentOf(zstdCompressSync(disk)),
      unpacked: contentOf(disk),
    });
  });

  test("works for the example that ships", async () => {
    const yaml = await readFile(join(ROOT, "config/examples/catalogue/catalogue.yaml"), "utf8");
    await using folder = await adminFolder({
      "catalogue.yaml": yaml,
      "tiny/1/disk.qcow2.zst": zstdCompressSync("a disk"),
      "tiny/1/kernel": "a kernel",
      "tiny/1/initrd": "an initrd",
    });
    expect(await publish(folder)).toMatchObject({
      document: { name: "example" },
      changes: ["new image tiny", "new version tiny:1"],
    });
  });

  test("changes nothing when nothing changed, unless it is to be renewed", async () => {
    await using folder = await adminFolder({ "catalogue.yaml": ONE });
    const first = await publish(folder);
    const text = await readFile(first.path);
    const laterMs = NOW_MS + 86_400_000;
    expect(await publish(folder, { nowMs: laterMs })).toEqual({
      ...first,
      ...{ isWritten: false, changes: [] },
    });
    expect(await readFile(first.path)).toEqual(text);
    const renewed = await publish(folder, { nowMs: laterMs, renew: true });
    expect(renewed).toMatchObject({ isWritten: true, changes: [] });
    expect(renewed.document).toEqual({
      ...first.document,
      ...{ version: 2, expires: "2030-02-01T00:00:00Z" },
    });
  });

  test("writes a new version where the former document was altered by hand, since hosts take no version with two contents", async () => {
    await using folder = await adminFolder({ "catalogue.yaml": ONE });
    await publish(folder);
    const path = join(folder.path, "catalogue.json");
    await folder.write({ "catalogue.json": `${await readFile(path, "utf8")} ` });
    expect(await publish(folder)).toMatchObject({
      ...{ isWritten: true, document: { version: 2 } },
      changes: ["catalogue.json was not as 'testbed image sign' wrote it"],
    });
    expect(await publish(folder)).toMatchObject({ isWritten: false, document: { version: 2 } });
  });

  test("tells what changed", async () => {
    await using folder = await adminFolder({
      "catalogue.yaml": ONE,
      "toy/other.raw": "another disk",
    });
    const changesWith = async (yaml: string) => {
      await folder.write({ "catalogue.yaml": yaml });
      return (await publish(folder)).changes;
    };
    const next = versionYaml("2", "{ file: toy/other.raw, format: raw, virtualMiB: 1 }");
    const old = versionYaml("1", PLAIN_DISK);
    expect(await changesWith(ONE)).toEqual(["new image toy", "new version toy:1"]);
    expect(await changesWith(catalogueYaml(next, old))).toEqual(["new version toy:2"]);
    expect(await changesWith(catalogueYaml(old, next))).toEqual(["another order"]);
    const bad = versionYaml(
      "2",
      "{ file: toy/other.raw, format: raw, virtualMiB: 1 }",
      "        withdrawn: it is bad\n",
    );
    expect(await changesWith(catalogueYaml(old, bad))).toEqual(["withdrew toy:2"]);
    expect(await changesWith(catalogueYaml(old, next))).toEqual(["changed toy:2"]);
    const renamed = catalogueYaml(old).replace("A toy", "The toy");
    expect(await changesWith(renamed)).toEqual(["removed version toy:2", "changed image toy"]);
    const none = "name: house\nexpires: 30d\nimages: []\n";
    expect(await changesWith(none)).toEqual(["removed image toy"]);
    expect((await folder.document()).version).toBe(7);
  });

  test("moves a published image's file, and packs it otherwise, since it stays the same image", async () => {
    await using folder = await adminFolder({ "catalogue.yaml": ONE });
    const { document } = await publish(folder);
    const digest = document.images[0]?.versions[0]?.digest;
    await folder.write({
      "new/disk.gz": gzipSync("a disk"),
      "catalogue.yaml": catalogueYaml(
        versionYaml("1", "{ file: new/disk.gz, compression: gzip, format: raw, virtualMiB: 1 }"),
      ),
    });
    const moved = await publish(folder);
    expect(moved.changes).toEqual(["changed toy:1"]);
    expect(moved.document.images[0]?.versions[0]?.digest).toBe(digest);
  });
});

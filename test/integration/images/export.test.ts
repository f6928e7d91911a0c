import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { gunzipSync, zstdDecompressSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { exportImage } from "#host/images/exchange/export-image.ts";
import { importImage } from "#host/images/exchange/import-image.ts";
import { PACKINGS, type Packing } from "#host/images/exchange/pack-file.ts";
import { verifyImage } from "#host/images/store/manifest.ts";
import {
  exchangeRoom,
  expectNothingHalfMade,
  files,
  quietly,
  refusal,
} from "#test/kit/exchange-room.ts";

const call = promisify(execFile);
const inTime = () => AbortSignal.timeout(50_000);

/** What a packed file is, by other means than ours. */
const UNPACK: Readonly<Record<Packing, (path: string) => Promise<Buffer>>> = {
  none: (path) => readFile(path),
  gzip: async (path) => gunzipSync(await readFile(path)),
  zstd: async (path) => zstdDecompressSync(await readFile(path)),
  xz: async (path) =>
    (await call("xz", ["-dc", path], { encoding: "buffer", maxBuffer: 2 ** 26 })).stdout,
};

describe("an export", () => {
  test.each(Object.keys(PACKINGS) as Packing[])(
    "packed by %s unpacks to what its image is",
    async (packing) => {
      await using here = await exchangeRoom();
      const { catalogue, disk, path } = here;
      const { digest } = await importImage(catalogue, files(disk), quietly());
      const to = join(path, "published");
      const order = { store: catalogue.store, digest, to, packing };
      const exported = await exportImage(order, quietly());
      expect(await exportImage(order, quietly())).toEqual(exported);
      const { folder } = exported;
      const packed = join(folder, `disk.qcow2${PACKINGS[packing]}`);
      expect((await UNPACK[packing](packed)).equals(await readFile(disk))).toBe(true);
      const written = parse(await readFile(join(to, "catalogue.yaml"), "utf8"));
      expect(written).toMatchObject({
        name: "published",
        images: [
          { name: "cloud", versions: [{ version: "1", boot: { kind: "uefi" }, login: "debian" }] },
        ],
      });
      const { file, compression, unpacked } = written.images[0].versions[0].files.disk;
      expect(existsSync(join(to, file))).toBe(true);
      expect(compression).toBe(packing === "none" ? undefined : packing);
      if (packing !== "none") expect(unpacked.bytes).toBe((await stat(disk)).size);
      expect(await readdir(join(to, "cloud"))).toEqual(["1"]);
    },
  );

  test("is imported elsewhere as the very same image", async () => {
    await using here = await exchangeRoom();
    const { catalogue, disk, path } = here;
    const { digest } = await importImage(catalogue, files(disk), quietly());
    const order = {
      store: catalogue.store,
      digest,
      to: join(path, "out"),
      packing: "none",
    } as const;
    const { folder } = await exportImage(order, quietly());
    const elsewhere = { store: join(path, "elsewhere"), recipes: [] };
    const again = await importImage(elsewhere, { kind: "folder", folder }, quietly());
    expect(again).toEqual({ name: "cloud", version: "1", digest, isNew: true });
    await verifyImage(join(elsewhere.store, digest), digest, inTime());
  });

  test("under another name and version is another image, of the same files, that others import", async () => {
    await using here = await exchangeRoom();
    const { catalogue, disk, path } = here;
    const { digest } = await importImage(catalogue, files(disk), quietly());
    const to = join(path, "out");
    const order = { store: catalogue.store, digest, to, packing: "none" } as const;
    const plain = await exportImage(order, quietly());
    const as = { name: "lab-cloud", version: "7" };
    const renamed = await exportImage({ ...order, as }, quietly());
    expect(plain).toEqual({ name: "cloud", version: "1", digest, folder: join(to, "cloud/1") });
    expect(renamed).toMatchObject({ ...as, folder: join(to, "lab-cloud/7") });
    expect(renamed.digest).not.toBe(digest);
    expect(await exportImage({ ...order, as }, quietly())).toEqual(renamed);
    expect(await exportImage({ ...order, as: {} }, quietly())).toEqual(plain);
    const { images } = parse(await readFile(join(to, "catalogue.yaml"), "utf8"));
    expect(images).toMatchObject([
      { name: "cloud", versions: [{ version: "1" }] },
      {
        name: "lab-cloud",
        versions: [{ version: "7", files: { disk: { file: "lab-cloud/7/disk.qcow2" } } }],
      },
    ]);
    const elsewhere = { store: join(path, "elsewhere"), recipes: [] };
    const again = await importImage(
      elsewhere,
      { kind: "folder", folder: renamed.folder },
      quietly(),
    );
    expect(again).toEqual({ ...as, digest: renamed.digest, isNew: true });
    await verifyImage(join(elsewhere.store, again.digest), again.digest, inTime());
  });

  test("whose files were changed is not imported", async () => {
    await using here = await exchangeRoom();
    const { catalogue, disk, path } = here;
    const { digest } = await importImage(catalogue, files(disk), quietly());
    const order = {
      store: catalogue.store,
      digest,
      to: join(path, "out"),
      packing: "none",
    } as const;
    const { folder } = await exportImage(order, quietly());
    const bytes = await readFile(join(folder, "disk.qcow2"));
    bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1);
    await writeFile(join(folder, "disk.qcow2"), bytes);
    const elsewhere = { store: join(path, "elsewhere"), recipes: [] };
    const asked = importImage(elsewhere, { kind: "folder", folder }, quietly());
    expect(await refusal(asked)).toMatch(/has SHA-256 \w{64}, not/);
    await expectNothingHalfMade(elsewhere);
  });

  test("joins what a catalogue's admin wrote, the newest version first, and keeps his words", async () => {
    await using here = await exchangeRoom();
    const { catalogue, disk, path } = here;
    const to = join(path, "out");
    await mkdir(to);
    await writeFile(
      join(to, "catalogue.yaml"),
      "# ours\nname: lab\nexpires: 30d\nimages:\n  - name: cloud # the big one\n    summary: A cloud image\n    versions: []\n",
    );
    for (const version of ["1", "2"]) {
      const { digest } = await importImage(catalogue, files(disk, { version }), quietly());
      await exportImage({ store: catalogue.store, digest, to, packing: "none" }, quietly());
    }
    const text = await readFile(join(to, "catalogue.yaml"), "utf8");
    expect(text).toMatch(/^# ours\n/);
    expect(text).toContain("# the big one");
    const { images } = parse(text);
    expect(images).toHaveLength(1);
    expect(images[0]).toMatchObject({ summary: "A cloud image" });
    expect(images[0].versions.map(({ version }: { version: string }) => version)).toEqual([
      "2",
      "1",
    ]);
  });

  test("of another image by the same version is refused, and so is a file that is no catalogue", async () => {
    await using here = await exchangeRoom();
    const { catalogue, disk, path } = here;
    const to = join(path, "out");
    const { digest } = await importImage(catalogue, files(disk), quietly());
    await exportImage({ store: catalogue.store, digest, to, packing: "none" }, quietly());
    const elsewhere = { store: join(path, "elsewhere"), recipes: [] };
    const other = await importImage(elsewhere, files(disk, { login: "root" }), quietly());
    const asked = exportImage(
      { store: elsewhere.store, digest: other.digest, to, packing: "none" },
      quietly(),
    );
    expect(await refusal(asked)).toContain("a version never changes");
    await writeFile(join(to, "catalogue.yaml"), "- no\n- catalogue\n");
    const again = exportImage({ store: catalogue.store, digest, to, packing: "none" }, quietly());
    expect(await refusal(again)).toContain("is no catalogue file");
  });

  test("of a damaged image is none", async () => {
    await using here = await exchangeRoom();
    const { catalogue, disk, path } = here;
    const { digest } = await importImage(catalogue, files(disk), quietly());
    const stored = join(catalogue.store, digest, "disk.qcow2");
    const bytes = await readFile(stored);
    bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1);
    await writeFile(stored, bytes);
    const to = join(path, "out");
    const asked = exportImage({ store: catalogue.store, digest, to, packing: "gzip" }, quietly());
    await expect(asked).rejects.toMatchObject({ code: "image-damaged" });
    expect(await readdir(join(to, "cloud"))).toEqual([]);
    expect(existsSync(join(to, "catalogue.yaml"))).toBe(false);
  });
});

import { rename, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { type ImportOrder, importImage } from "#host/images/exchange/import-image.ts";
import { call } from "#test/kit/call.ts";
import {
  type ExchangeRoom,
  exchangeRoom,
  expectNothingHalfMade,
  files,
  quietly,
  refusal,
} from "#test/kit/exchange-room.ts";
import { rawDisk } from "#test/kit/raw-disk.ts";

describe("an import", () => {
  test.each([
    ["gz", "gzip"],
    ["xz", "xz"],
    ["zst", "zstd"],
  ])("of a disk that is packed as .%s is of what is in it", async (suffix, program) => {
    await using here = await exchangeRoom();
    const { catalogue, disk } = here;
    const plain = await importImage(catalogue, files(disk), quietly());
    await call(program, ["-q", disk]);
    const packed = await importImage(catalogue, files(`${disk}.${suffix}`), quietly());
    expect(packed).toEqual({ ...plain, isNew: false });
    await expectNothingHalfMade(catalogue);
  });

  test("unpacks no more than a disk may have", async () => {
    await using here = await exchangeRoom();
    const raw = join(here.path, "disk.raw");
    await rawDisk(raw, "");
    await truncate(raw, 4 * 2 ** 20);
    await call("gzip", [raw]);
    const order = files(`${raw}.gz`, {}, { format: "raw" });
    const limited = (diskMiB: number) => ({
      ...here.catalogue,
      limits: { downloadMiB: 100, diskMiB },
    });
    expect(await refusal(importImage(limited(1), order, quietly()))).toContain(
      "unpacks to more than 2097152 bytes; see limits.disk",
    );
    await expectNothingHalfMade(here.catalogue);
    const { digest } = await importImage(limited(2), order, quietly());
    const stored = await stat(join(here.catalogue.store, digest, "disk.raw"));
    expect(stored.size).toBe(4 * 2 ** 20);
    expect(stored.blocks * 512).toBeLessThan(2 ** 20);
  });

  test.each<readonly [string, string, (room: ExchangeRoom) => Promise<ImportOrder>]>([
    [
      "is not compressed, by its name",
      "is no xz file",
      async ({ disk }) => {
        await rename(disk, `${disk}.xz`);
        return files(`${disk}.xz`);
      },
    ],
    [
      "is a FIFO, to be unpacked",
      "is not a regular file",
      async ({ path }) => {
        await call("mkfifo", [join(path, "fifo.gz")]);
        return files(join(path, "fifo.gz"));
      },
    ],
    [
      "is empty when unpacked",
      "is empty",
      async ({ disk }) => {
        await writeFile(`${disk}.gz`, gzipSync(""));
        return files(`${disk}.gz`);
      },
    ],
  ])("of what %s is refused, and leaves nothing", async (_, words, make) => {
    await using here = await exchangeRoom();
    const order = await make(here);
    expect(await refusal(importImage(here.catalogue, order, quietly()))).toContain(words);
    await expectNothingHalfMade(here.catalogue);
  });
});

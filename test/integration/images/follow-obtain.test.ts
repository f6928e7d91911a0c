import { existsSync } from "node:fs";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openSource } from "#host/images/follow/source.ts";
import { localImages } from "#host/images/local-images.ts";
import { verifyStore } from "#host/images/store/verify.ts";
import { Fault } from "#job/fault.ts";
import { call } from "#test/kit/call.ts";
import { leftIn } from "#test/kit/fetch-desk.ts";
import { type FollowRoom, followRoom } from "#test/kit/follow-room.ts";
import { rawDisk } from "#test/kit/raw-disk.ts";
import { sampleImage } from "#test/kit/sample-catalogue.ts";
import { type ToyOptions, toyImage, toyVersion } from "#test/kit/toy-versions.ts";

const silently = () => undefined;
const inTime = () => AbortSignal.timeout(50_000);
const MIB = 2 ** 20;

const create = (path: string, size: string, ...more: string[]) =>
  call("qemu-img", ["create", "-q", "-f", "qcow2", ...more, path, size]);

async function faultOf(asked: Promise<unknown>): Promise<Fault> {
  return await asked.then((found) => {
    throw new Error(`it was resolved: ${JSON.stringify(found)}`);
  }, Fault.from);
}

/** Nothing is in the store but whole images, and nothing is left of what was begun. */
async function expectNothingLeft({ store }: FollowRoom, images: number): Promise<void> {
  expect(await verifyStore(store, undefined, { onBytes: silently, signal: inTime() })).toEqual([]);
  const digests = (await readdir(store)).filter((name) => name.length === 64);
  expect(digests).toHaveLength(images);
  expect(await readdir(join(store, "building"))).toEqual([]);
  expect(existsSync(join(store, "fetching")) ? await leftIn(join(store, "fetching")) : []).toEqual(
    [],
  );
}

describe.each(["https", "folder"] as const)("an image of a catalogue by %s", (kind) => {
  test.each<readonly [string, ToyOptions]>([
    ["a plain qcow2", {}],
    ["packed by gzip", { compression: "gzip" }],
    ["packed by xz", { compression: "xz" }],
    ["packed by zstd", { compression: "zstd" }],
    ["with a kernel", { isKernel: true }],
    [
      "a raw disk",
      {
        make: (path) => rawDisk(path, Buffer.alloc(2 * MIB, 1)),
        disk: { format: "raw", virtualMiB: 2 },
      },
    ],
  ])("that is %s is taken as it was said to be", async (_, options) => {
    await using room = await followRoom(kind);
    const image = await toyImage(room.site, "toy", ["1"], options);
    await room.publish([image]);
    await room.refresh();
    const found = await room.resolve("toy");
    expect(found.digest).toBe(image.versions[0]?.digest);
    expect((await stat(found.disk.path)).mode & 0o777).toBe(0o444);
    if (options.isKernel === true)
      expect(await readFile(join(room.store, found.digest, "kernel"), "utf8")).toBe(
        "the kernel of toy:1",
      );
    await expectNothingLeft(room, 1);
  });

  test.each<readonly [string, string, ToyOptions]>([
    [
      "has a backing file",
      "has a backing file",
      { make: (path) => create(path, "1M", "-b", "/etc/os-release", "-F", "raw", "-u") },
    ],
    [
      "has a backing file in the packed one",
      "has a backing file",
      {
        compression: "zstd",
        make: (path) => create(path, "1M", "-b", "/etc/os-release", "-F", "raw", "-u"),
      },
    ],
    ["is larger than said", "virtual size", { make: (path) => create(path, "2M") }],
    [
      "is smaller than said",
      "has a virtual size of 1048576 bytes, not the 2 MiB that were said",
      { disk: { virtualMiB: 2 } },
    ],
    ["is no qcow2", "is no qcow2 file", { make: (path) => writeFile(path, "text".repeat(999)) }],
    ["is a qcow2 said to be raw", "is qcow2, and not raw alone", { disk: { format: "raw" } }],
    [
      "is gzip said to be plain",
      "is gzip, and not qcow2 alone",
      {
        make: async (path) => {
          await create(path, "1M");
          await call("gzip", ["-S", ".x", path]);
          await call("mv", [`${path}.x`, path]);
        },
      },
    ],
    ["has another SHA-256", "has SHA-256", { disk: { sha256: "a".repeat(64) } }],
    ["is longer than said", "bytes", { disk: { bytes: 1000 } }],
    [
      "unpacks to something else",
      "unpacks to SHA-256",
      {
        compression: "gzip",
        make: (path) => writeFile(path, "x".repeat(9000)),
        disk: { unpacked: { bytes: 9000, sha256: "a".repeat(64) } },
      },
    ],
    [
      "unpacks to more",
      "unpacks to more than the 1000 bytes",
      { compression: "xz", disk: { unpacked: { bytes: 1000, sha256: "a".repeat(64) } } },
    ],
    [
      "is not packed as said",
      "is no zstd file",
      { disk: { compression: "zstd", unpacked: { bytes: 1000, sha256: "a".repeat(64) } } },
    ],
    ["is more than may be fetched", "more than 4 MiB; see limits", { disk: { bytes: 5 * MIB } }],
    [
      "is more than may be unpacked",
      "unpacks to 20971520 bytes; see limits",
      { compression: "gzip", disk: { unpacked: { bytes: 20 * MIB, sha256: "a".repeat(64) } } },
    ],
    [
      "has a larger disk than may be",
      "has a disk of 9 MiB, more than 8 MiB; see limits",
      { make: (path) => create(path, "9M"), disk: { virtualMiB: 9 } },
    ],
  ])("that %s is refused, and leaves nothing; an older good one is meant", async (_, why, evil) => {
    await using room = await followRoom(kind, { limits: { downloadMiB: 4, diskMiB: 8 } });
    const bad = await toyVersion(room.site, "toy:2", evil);
    const good = await toyVersion(room.site, "toy:1");
    await room.publish([sampleImage("toy", bad, good)]);
    await room.refresh();
    expect(await faultOf(room.resolve("toy:2"))).toMatchObject({
      code: "image-refused",
      message: expect.stringContaining(why),
    });
    expect(await room.resolve("toy")).toMatchObject({ version: "1" });
    expect(room.tried).toEqual(["toy:1"]);
    await expectNothingLeft(room, 1);
  });
});

test("what two images have in common is fetched for each, however their fetches meet", async () => {
  await using room = await followRoom();
  const one = await toyVersion(room.site, "one:1");
  const body = await readFile(join(room.site, one.files.disk.url));
  const make = (path: string) => writeFile(path, body);
  const names = ["a", "b", "c"];
  const images = [];
  for (const name of names) {
    const version = await toyVersion(room.site, `${name}:1`, { make });
    images.push(sampleImage(name, version));
  }
  await room.publish(images);
  await room.refresh();
  const found = await Promise.all(names.map((name) => room.resolve(name)));
  expect(found.map(({ name }) => name)).toEqual(names);
  await expectNothingLeft(room, 3);
});

test("files of a catalogue may lie on another host that the admin allows", async () => {
  await using room = await followRoom("folder");
  const version = await toyVersion(room.site, "toy:1");
  const url = `https://localhost:${room.server.port}/${version.files.disk.url}`;
  const disk = { ...version.files.disk, url };
  await room.publish([sampleImage("toy", { ...version, files: { disk } })]);
  await room.refresh();
  expect(await faultOf(room.resolve("toy:1"))).toMatchObject({
    code: "image-refused",
    message: expect.stringContaining("not among the catalogue's hosts"),
  });
  const hosts = [`localhost:${room.server.port}`];
  const sources = [openSource({ ...room.settings, hosts })];
  const images = localImages({ ...room.places, sources });
  expect(await images.resolve("toy:1", silently, inTime())).toMatchObject({ version: "1" });
});

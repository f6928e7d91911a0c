import { existsSync } from "node:fs";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { importImage } from "#host/images/exchange/import-image.ts";
import { verifyImage } from "#host/images/store/manifest.ts";
import type { Image } from "#host/runner/ports.ts";
import { Fault } from "#job/fault.ts";
import { files, quietly } from "#test/kit/exchange-room.ts";
import { type FollowRoom, faring, followRoom } from "#test/kit/follow-room.ts";
import { toyChild } from "#test/kit/toy-child.ts";
import { toyImage, withdrawing } from "#test/kit/toy-versions.ts";

const inTime = () => AbortSignal.timeout(50_000);

async function withToy() {
  const room = await followRoom();
  const toy = {
    ...(await toyImage(room.site, "toy", ["2", "1"])),
    aliases: ["toy-latest"],
    deprecated: { on: "2020-01-01", use: "other" },
  };
  const other = await toyImage(room.site, "other", ["1"]);
  await room.publish([toy, other]);
  await room.refresh();
  return Object.assign(room, { toy, other });
}

async function faultOf(asked: Promise<unknown>): Promise<Fault> {
  return await asked.then((found) => {
    throw new Error(`it was resolved: ${JSON.stringify(found)}`);
  }, Fault.from);
}

async function recipe({ places }: FollowRoom, name: string): Promise<void> {
  const folder = join(places.recipes[0] as string, name);
  await mkdir(folder, { recursive: true });
  await writeFile(
    join(folder, "image.yaml"),
    `name: ${name}
version: "made"
summary: A toy
tools: {}
timeoutMinutes: 1
architecture: x86_64
boot: { kind: kernel, commandLine: console=ttyS0 }
seed: nocloud
login: root
memoryMiBMin: 64
readiness: { consoleSeconds: 1, sshSeconds: 1, settledSeconds: 1 }
`,
  );
  const script = `qemu-img create -q -f qcow2 "$1/disk.qcow2" 8M; echo k > "$1/kernel"; echo i > "$1/initrd"`;
  await writeFile(join(folder, "build.sh"), script);
}

describe("a name that only a catalogue has", () => {
  test("is fetched, tried out and meant when somebody asks for it, by another name too", async () => {
    await using room = await withToy();
    const image = await room.resolve("toy-latest");
    expect(image).toMatchObject({ name: "toy", version: "2", boot: { kind: "uefi" } });
    expect(room.tried).toEqual(["toy:2"]);
    expect(room.lines).toContain("image toy is deprecated since 2020-01-01; use other");
    for (const reference of ["toy", "toy:2", "toy-latest:2", `toy-latest@sha256:${image.digest}`])
      expect(await room.resolve(reference)).toEqual(image);
    expect(room.asked()).toEqual({ "/toy/2/disk": 1 });
    room.lines.length = 0;
    expect(await room.resolve("other")).toMatchObject({ version: "1" });
    expect(room.lines).not.toContainEqual(expect.stringContaining("deprecated"));
  });

  test("with a version or a digest is fetched and not tried out, and its name does not mean it", async () => {
    await using room = await withToy();
    const [two, one] = room.toy.versions;
    expect(await room.resolve("toy:1")).toMatchObject({ digest: one?.digest });
    expect(await room.resolve(`toy@sha256:${two?.digest}`)).toMatchObject({ version: "2" });
    expect(room.tried).toEqual([]);
    expect(await room.entry("toy")).toBeUndefined();
    expect(await room.images.offered()).toEqual([]);
    expect(await room.resolve("toy")).toMatchObject({ version: "2" });
    expect(room.tried).toEqual(["toy:2"]);
    expect(room.asked()).toEqual({ "/toy/2/disk": 1, "/toy/1/disk": 1 });
  });

  test("with a digest that its catalogue no longer has is the image that is here, by another name too", async () => {
    await using room = await withToy();
    const { digest } = await room.resolve("toy:1");
    const { aliases } = room.toy;
    await room.publish([{ ...(await toyImage(room.site, "toy", ["2"])), aliases }, room.other]);
    await room.refresh();
    for (const name of ["toy", "toy-latest"])
      expect(await room.resolve(`${name}@sha256:${digest}`)).toMatchObject({ version: "1" });
    expect(await faultOf(room.resolve(`other@sha256:${digest}`))).toMatchObject({
      code: "image-unknown",
      message: expect.stringContaining("this digest is of image toy"),
    });
  });

  test("that fails is refused with the reason; that could not be tried out may be had later", async () => {
    await using room = await withToy();
    room.trial = faring({ "toy:2": "skipped" });
    expect(await faultOf(room.resolve("toy"))).toMatchObject({
      code: "image-fetch-failed",
      message: expect.stringContaining("2 could not be tried out: the host is full"),
    });
    room.trial = faring({ "toy:2": "failed", "toy:1": "failed" });
    expect(await faultOf(room.resolve("toy"))).toMatchObject({
      code: "image-refused",
      message: expect.stringContaining("2 failed its smoke boot: its kernel panics; 1 failed"),
    });
    expect(await room.resolve("toy:2")).toMatchObject({ version: "2" });
    room.trial = faring({});
    expect(await room.resolve("other")).toMatchObject({ version: "1" });
  });

  test("that is withdrawn is refused, unless it is here", async () => {
    await using room = await withToy();
    await room.resolve("toy:1");
    await room.publish([withdrawing(room.toy, "2", "1")]);
    await room.refresh();
    expect(await faultOf(room.resolve("toy:2"))).toMatchObject({
      code: "image-refused",
      message: "image toy:2 is withdrawn: it eats data",
    });
    const byDigest = `toy@sha256:${room.toy.versions[0]?.digest}`;
    expect(await faultOf(room.resolve(byDigest))).toMatchObject({ code: "image-refused" });
    expect(await faultOf(room.resolve("toy"))).toMatchObject({
      code: "image-refused",
      message: expect.stringContaining("2 withdrawn"),
    });
    expect(await room.resolve("toy:1")).toMatchObject({ version: "1" });
    expect(room.lines.at(-1)).toBe("image toy:1 is withdrawn: it eats data");
  });

  test.each(["toy:3", "toy:constructor", "toi", `toy@sha256:${"a".repeat(64)}`])(
    "%s is unknown, and what is offered is told",
    async (reference) => {
      await using room = await withToy();
      await room.resolve("other");
      expect(await faultOf(room.resolve(reference))).toMatchObject({
        code: "image-unknown",
        evidence: { known: ["other", "toy", "toy-latest"] },
      });
    },
  );

  test("means what a recipe makes where there is one", async () => {
    await using room = await withToy();
    await recipe(room, "toy");
    for (const reference of ["toy", "toy-latest"])
      expect(await room.resolve(reference)).toMatchObject({ name: "toy", version: "made" });
    expect(await room.refresh("toy", "toy-latest", "other")).toMatchObject({
      images: [{ name: "other", outcome: "switched" }],
    });
    expect(await room.resolve("toy")).toMatchObject({ version: "made" });
    expect(room.asked()).toEqual({ "/other/1/disk": 1 });
    // A recipe that makes nothing is not in the way of what is a catalogue's.
    await writeFile(join(room.path, "recipes/toy/image.yaml"), "{");
    expect(await room.refresh("toy", "other")).toMatchObject({ images: [{ name: "other" }] });
  });

  test("that is another name there means what was imported here by just that name", async () => {
    await using room = await withToy();
    const disk = join(room.site, "other/1/disk");
    await importImage(room.places, files(disk, { name: "toy-latest", version: "own" }), quietly());
    expect(await room.resolve("toy-latest")).toMatchObject({ name: "toy-latest", version: "own" });
    expect(await room.refresh()).toMatchObject({ images: [] });
    expect(await room.resolve("toy")).toMatchObject({ version: "2" });
    expect(await room.images.offered()).toEqual([
      expect.objectContaining({ name: "toy", version: "2" }),
      expect.objectContaining({ name: "toy-latest", version: "own" }),
    ]);
  });

  test("is fetched once when two processes ask at once", async () => {
    await using room = await withToy();
    const child = () => toyChild(RESOLVER, [JSON.stringify(room.settings), room.store, "toy"]);
    await using one = child();
    await using other = child();
    const [digest] = room.toy.versions.map((version) => version.digest);
    expect(await one.says("got ")).toBe(`got ${digest}`);
    expect(await other.says("got ")).toBe(`got ${digest}`);
    expect(room.asked()).toEqual({ "/toy/2/disk": 1 });
  });
});

describe("an image of a catalogue", () => {
  test.each<readonly [string, (disk: string, image: Image) => Promise<unknown>]>([
    ["has another byte", (disk) => altered(disk)],
    ["is short", (disk) => writeFile(disk, "short")],
    ["is gone", (disk) => rm(disk)],
    ["is gone with all of it", (disk) => rm(join(disk, ".."), { recursive: true })],
  ])("whose disk %s is set aside and fetched again", async (_, damage) => {
    await using room = await withToy();
    const image = await room.resolve("toy");
    const folder = join(room.store, image.digest);
    const twin = await room.resolve("other");
    await damage(image.disk.path, image);
    for (const reference of ["toy", "toy:2"]) {
      expect(await room.resolve(reference)).toEqual(image);
      await verifyImage(folder, image.digest, inTime());
    }
    expect(await room.resolve("other")).toEqual(twin);
    expect(room.asked()).toEqual({ "/toy/2/disk": 2, "/other/1/disk": 1 });
    expect(room.tried).toEqual(["toy:2", "other:1"]);
  });

  test("that was withdrawn and is gone is not fetched again: its name means the newest other", async () => {
    await using room = await withToy();
    const image = await room.resolve("toy");
    await room.publish([withdrawing(room.toy, "2")]);
    room.trial = faring({ "toy:1": "skipped" });
    await room.refresh();
    expect(await room.resolve("toy")).toMatchObject({ version: "2" });
    room.trial = faring({});
    await rm(join(room.store, image.digest), { recursive: true });
    expect(await room.resolve("toy")).toMatchObject({ version: "1" });
    expect(existsSync(join(room.store, image.digest))).toBe(false);
  });
});

async function altered(path: string): Promise<void> {
  const bytes = await readFile(path);
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
  await rm(path);
  await writeFile(path, bytes);
}

/** Says `got DIGEST`. */
const RESOLVER = `
import { writeSync } from "node:fs";
import { openSource } from at("src/host/images/follow/source.ts");
import { localImages } from at("src/host/images/local-images.ts");
const [settings, store, reference] = process.argv.slice(1);
const sources = [openSource(JSON.parse(settings))];
const tryOut = async () => ({ kind: "passed", acceleration: "tcg" });
const images = localImages({ store, recipes: [], sources }, { tryOut });
const { digest } = await images.resolve(reference, () => undefined, AbortSignal.timeout(60_000));
writeSync(1, "got " + digest + "\\n");
`;

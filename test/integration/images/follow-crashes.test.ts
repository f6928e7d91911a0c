import { mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import { recoverStore } from "#host/images/store/recover.ts";
import { verifyStore } from "#host/images/store/verify.ts";
import { FileLock } from "#lib/file-lock.ts";
import { eventually } from "#test/kit/eventually.ts";
import { leftIn } from "#test/kit/fetch-desk.ts";
import { serve, tornAfter } from "#test/kit/file-server.ts";
import { type FollowRoom, followRoom } from "#test/kit/follow-room.ts";
import { rawDisk } from "#test/kit/raw-disk.ts";
import { scratchFolder } from "#test/kit/scratch.ts";
import { smallDisk } from "#test/kit/small-disk.ts";
import { toyChild } from "#test/kit/toy-child.ts";
import { type ToyOptions, toyImage } from "#test/kit/toy-versions.ts";

const silently = () => undefined;
const inTime = () => AbortSignal.timeout(50_000);
const MIB = 2 ** 20;
const WAIT_MS = 30_000;

const LARGE: ToyOptions = {
  make: async (path) => {
    const content = Buffer.alloc(6 * MIB, 1);
    await rawDisk(path, content);
  },
  disk: { format: "raw", virtualMiB: 6 },
};

async function expectWhole({ store }: FollowRoom): Promise<void> {
  expect(await verifyStore(store, undefined, { onBytes: silently, signal: inTime() })).toEqual([]);
  expect(await readdir(join(store, "building"))).toEqual([]);
  expect(await leftIn(join(store, "fetching"))).toEqual([]);
}

describe("a process that is killed", () => {
  test.each<readonly [string, ToyOptions, string]>([
    ["while it fetches", LARGE, "fetching disk.raw"],
    ["while it inspects", LARGE, "inspecting"],
    ["while it tries out", LARGE, "smoke boot"],
    ["while it fetches the last of many", { isKernel: true }, "fetching initrd"],
    ["while it inspects what it unpacked", { compression: "zstd" }, "inspecting"],
  ])("%s leaves what the next one goes on with", async (_, options, at) => {
    await using room = await followRoom();
    await room.publish([await toyImage(room.site, "toy", ["1"], options)]);
    await room.refresh();
    await using child = toyChild(STOPPER, [JSON.stringify(room.settings), room.store, at]);
    await child.says("there");
    await child.kill();
    expect(await room.entry("toy")).toBeUndefined();
    expect(await room.resolve("toy")).toMatchObject({ version: "1" });
    expect(room.tried).toEqual(["toy:1"]);
    await expectWhole(room);
  });

  test("in the middle of a file leaves the part, and only the rest is asked for", async () => {
    await using room = await followRoom();
    const image = await toyImage(room.site, "toy", ["1"], LARGE);
    await room.publish([image]);
    await room.refresh();
    const { sha256, url } = image.versions[0]?.files.disk ?? { sha256: "", url: "" };
    const part = join(room.store, "fetching", `${sha256}.part`);
    const body = await readFile(join(room.site, url));
    const dead = Promise.withResolvers<void>();
    const torn = tornAfter(2 * MIB, body, () => dead.promise);
    room.answers.set(`/${url}`, torn);
    await using child = toyChild(STOPPER, [JSON.stringify(room.settings), room.store, "never"]);
    await eventually(async () => (await sizeOf(part)) === 2 * MIB, WAIT_MS);
    await child.kill();
    dead.resolve();
    expect(await recoverStore(room.store, inTime())).toEqual([
      expect.stringContaining("a build that was killed"),
    ]);
    room.answers.set(`/${url}`, serve(body));
    expect(await room.resolve("toy")).toMatchObject({ version: "1" });
    expect(room.server.asked.at(-1)?.headers.range).toBe(`bytes=${2 * MIB}-`);
    await expectWhole(room);
  });
});

describe("on a full disk", () => {
  test.each<readonly [string, ToyOptions]>([
    ["a fetch", LARGE],
    ["unpacking", { ...LARGE, compression: "zstd" }],
  ])(
    "%s says so, leaves nothing half-made, and goes well when there is room",
    async (_, options) => {
      await using scratch = await scratchFolder();
      await using small = await smallDisk(4, scratch.path);
      await using room = await followRoom("https", { store: join(small.path, "images") });
      const other = await toyImage(room.site, "other", ["1"]);
      await room.publish([await toyImage(room.site, "toy", ["1"], options), other]);
      await room.refresh();
      await expect(room.resolve("toy")).rejects.toMatchObject({ code: "host-disk-full" });
      await expect(room.refresh("toy")).rejects.toMatchObject({ code: "host-disk-full" });
      expect(await readdir(join(room.store, "building"))).toEqual([]);
      expect(await room.entry("toy")).toBeUndefined();
      expect(await room.resolve("other")).toMatchObject({ version: "1" });
      await small.leave(20);
      expect(await room.resolve("toy")).toMatchObject({ version: "1" });
      await expectWhole(room);
    },
  );
});

test("a start removes what downloads left long ago, and never a lock or what somebody is at", async () => {
  await using scratch = await scratchFolder();
  const store = join(scratch.path, "images");
  const folder = join(store, "fetching");
  await mkdir(folder, { recursive: true });
  const [left, busy] = ["a".repeat(64), "b".repeat(64)];
  const names = ["", ".lock", ".part", ".part.json", ".part.json.0123456789ab.tmp"];
  const all = [left, busy].flatMap((digest) => names.map((name) => `${digest}${name}`));
  for (const name of all) await writeFile(join(folder, name), "");
  await writeFile(join(folder, "readme"), "");
  using _ = FileLock.tryTake(join(folder, `${busy}.lock`));
  const recoverAfter = async (hours: number) => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + hours * 3600_000 });
    const said = await recoverStore(store, inTime()).finally(() => vi.useRealTimers());
    return said.map((line) => line.replace(`fetching/${left}`, ""));
  };
  expect(await recoverAfter(0)).toEqual([]);
  expect(await recoverAfter(2)).toEqual([".part.json.0123456789ab.tmp: old, removed"]);
  const old = ["", ".part", ".part.json"].map((name) => `${name}: old, removed`);
  expect((await recoverAfter(8 * 24)).toSorted()).toEqual(old.toSorted());
  const kept = [`${left}.lock`, "readme", ...names.map((name) => `${busy}${name}`)];
  expect((await readdir(folder)).toSorted()).toEqual(kept.toSorted());
});

async function sizeOf(path: string): Promise<number | undefined> {
  return (await stat(path).catch(() => undefined))?.size;
}

/** Resolves `toy`; says `there` when its progress comes to a line, and waits for its end. */
const STOPPER = `
import { writeSync } from "node:fs";
import { openSource } from at("src/host/images/follow/source.ts");
import { localImages } from at("src/host/images/local-images.ts");
const [settings, store, at] = process.argv.slice(1);
const sources = [openSource(JSON.parse(settings))];
const tryOut = async () => ({ kind: "passed", acceleration: "tcg" });
const images = localImages({ store, recipes: [], sources }, { tryOut });
const onProgress = (line) => {
  if (!line.endsWith(at)) return;
  writeSync(1, "there\\n");
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 60_000);
};
await images.resolve("toy", onProgress, AbortSignal.timeout(60_000));
`;

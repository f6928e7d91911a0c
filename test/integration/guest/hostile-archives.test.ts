import { lstat, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { pack } from "tar-stream";
import { expect, test } from "vitest";
import type { Collection } from "#host/runner/guest-port.ts";
import { TAR_END, tarHeader, tarPadding } from "#lib/tar/tar-writer.ts";
import { scratchFolder } from "#test/kit/scratch.ts";
import { connectTo } from "#test/kit/ssh-connect.ts";
import { playGuest } from "#test/kit/ssh-server.ts";

const NEVER = new AbortController().signal;
const CAPS = { files: 20, fileBytes: 1_000_000, totalBytes: 2_000_000, refusals: 5 };

function file(name: string, content: string, claimedBytes = content.length): Buffer {
  const header = { name, kind: "file", mode: 0o644, bytes: claimedBytes, mtimeSeconds: 0 } as const;
  return Buffer.concat([tarHeader(header), Buffer.from(content), tarPadding(content.length)]);
}

function link(name: string, target: string): Buffer {
  return tarHeader({ name, kind: "link", mode: 0o777, bytes: 0, mtimeSeconds: 0, target });
}

/** A header with one byte of its type replaced, and its checksum made right again. */
function typed(flag: string, from: Buffer): Buffer {
  const block = Buffer.from(from);
  block.write(flag, 156);
  block.fill(" ", 148, 156);
  const sum = block.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return block;
}

async function paxPath(name: string): Promise<Buffer> {
  const archive = pack();
  archive.entry({ name: "harmless", pax: { path: name } } as never, "x");
  archive.finalize();
  const pieces: Buffer[] = [];
  for await (const piece of archive) pieces.push(piece as Buffer);
  return Buffer.concat(pieces).subarray(0, -1024);
}

const GOOD = file("./good", "good");

/** What a guest sends, the artifacts that come of it, and what is said of the rest. */
async function collectFrom(
  archive: Buffer | AsyncIterable<Buffer>,
  folder: string,
): Promise<Collection> {
  await using guest = await playGuest({
    onCollect: async (channel) => {
      const pieces = Buffer.isBuffer(archive) ? [archive] : archive;
      for await (const piece of pieces) {
        if (!channel.writable) return;
        const { promise, resolve } = Promise.withResolvers<unknown>();
        channel.write(piece, resolve);
        channel.setMaxListeners(0).once("close", resolve);
        await promise;
      }
      channel.exit(0);
      channel.end();
    },
  });
  await using connected = await connectTo(guest, { options: { caps: CAPS } });
  return await connected.collect(["/x"], folder, NEVER);
}

const NAMES = [
  "../escape",
  "a/../../escape",
  "/etc/absolute",
  ".",
  "a//b",
  "a/./b",
  "line\nbreak",
  "tab\tand\u001b[31mcolour",
  "right\u202eto left",
  "back\\slash",
  "n".repeat(256),
  `${"d/".repeat(600)}deep`,
];

for (const name of NAMES) {
  test(`a file called ${JSON.stringify(name.slice(0, 40))} is refused, and others come home`, async () => {
    await using home = await scratchFolder();
    const folder = join(home.path, "artifacts");
    const archive = Buffer.concat([file(name, "bad"), GOOD, TAR_END]);
    const { artifacts, refused } = await collectFrom(archive, folder);
    expect(artifacts.map(({ path }) => path)).toEqual(["good"]);
    expect(refused).toHaveLength(1);
    expect(refused[0]?.name).not.toMatch(/\p{Cc}/u);
    expect(await readdir(home.path)).toEqual(["artifacts"]);
    expect(await readdir(folder)).toEqual(["good"]);
  });
}

test("a name that only a PAX record has is checked like any other", async () => {
  await using home = await scratchFolder();
  const archive = Buffer.concat([await paxPath("../../escape"), GOOD, TAR_END]);
  const { artifacts, refused } = await collectFrom(archive, join(home.path, "artifacts"));
  expect(artifacts.map(({ path }) => path)).toEqual(["good"]);
  expect(refused).toEqual([{ name: "../../escape", why: "the name leads elsewhere" }]);
});

test("links, devices, FIFOs and folders are refused, and nothing is written through a link", async () => {
  await using home = await scratchFolder();
  const folder = join(home.path, "artifacts");
  const special = ["1", "3", "4", "6"].map((flag) => typed(flag, file(`special${flag}`, "")));
  const archive = Buffer.concat([
    link("way", "/tmp"),
    file("way/through", "x"),
    ...special,
    GOOD,
    TAR_END,
  ]);
  const { artifacts, refused } = await collectFrom(archive, folder);
  expect(artifacts.map(({ path }) => path)).toEqual(["good", "way/through"]);
  expect((await lstat(join(folder, "way"))).isDirectory()).toBe(true);
  expect(refused).toHaveLength(5);
  expect(new Set(refused.map(({ why }) => why))).toEqual(new Set(["not a regular file"]));
});

test("names that come twice, or differ only in case or in Unicode's form, come home once", async () => {
  await using home = await scratchFolder();
  const folder = join(home.path, "artifacts");
  const archive = Buffer.concat([
    file("same", "first"),
    file("same", "second"),
    file("SAME", "third"),
    file("caf\u00e9", "composed"),
    file("cafe\u0301", "decomposed"),
    file("same/below", "a file's folder"),
    TAR_END,
  ]);
  const { artifacts, refused } = await collectFrom(archive, folder);
  expect(artifacts.map(({ path }) => path)).toEqual(["caf\u00e9", "same"]);
  expect(await readFile(join(folder, "same"), "utf8")).toBe("first");
  expect(refused).toHaveLength(4);
});

test("the count, the size of one and of all are capped; what came until then is kept", async () => {
  await using home = await scratchFolder();
  const many = Array.from({ length: 40 }, (_, index) => file(`f${index}`, "x"));
  const counted = await collectFrom(Buffer.concat([...many, TAR_END]), join(home.path, "many"));
  expect(counted.artifacts).toHaveLength(20);
  expect(counted.refused[0]?.why).toContain("more than 20 files");

  const large = "x".repeat(1_000_001);
  const archive = Buffer.concat([file("large", large), GOOD, TAR_END]);
  const sized = await collectFrom(archive, join(home.path, "large"));
  expect(sized.artifacts.map(({ path }) => path)).toEqual(["good"]);
  expect(sized.refused).toEqual([{ name: "large", why: "larger than 1000000 bytes" }]);

  const thirds = ["a", "b", "c"].map((name) => file(name, "x".repeat(900_000)));
  const all = await collectFrom(Buffer.concat([...thirds, TAR_END]), join(home.path, "all"));
  expect(all.artifacts.map(({ path }) => path)).toEqual(["a", "b"]);
  expect(all.refused[0]).toMatchObject({ name: "c" });
});

test("an entry of eight tebibytes ends the collection at once", async () => {
  await using home = await scratchFolder();
  const archive = Buffer.concat([GOOD, file("huge", "x", 8 * 1024 ** 4)]);
  const { artifacts, refused } = await collectFrom(archive, join(home.path, "artifacts"));
  expect(artifacts.map(({ path }) => path)).toEqual(["good"]);
  expect(refused.map(({ name }) => name)).toContain("huge");
});

test("refusals are listed up to their cap, and the rest counted", async () => {
  await using home = await scratchFolder();
  const bad = Array.from({ length: 12 }, (_, index) => file(`../${index}`, "x"));
  const archive = Buffer.concat([...bad, TAR_END]);
  const { refused } = await collectFrom(archive, join(home.path, "artifacts"));
  expect(refused).toHaveLength(6);
  expect(refused.at(-1)?.why).toBe("7 more were refused");
});

const BROKEN: [string, Buffer | (() => AsyncGenerator<Buffer>)][] = [
  [
    "ends in the middle of a header",
    tarHeader({ name: "h", kind: "file", mode: 0, bytes: 0, mtimeSeconds: 0 }).subarray(0, 200),
  ],
  ["is garbage", Buffer.alloc(4096, "garbage")],
  ["has a name of ten megabytes", typed("L", file("long", "n".repeat(10_000_000)))],
  [
    "is padding without end",
    async function* () {
      for (;;) yield Buffer.alloc(64 * 1024);
    },
  ],
];

for (const [says, broken] of BROKEN) {
  test(`an archive that ${says} keeps what came before, and says so`, async () => {
    await using home = await scratchFolder();
    const folder = join(home.path, "artifacts");
    const whole = Buffer.isBuffer(broken) ? Buffer.concat([GOOD, broken]) : after(GOOD, broken());
    const { artifacts, refused } = await collectFrom(whole, folder);
    expect(artifacts.map(({ path }) => path)).toEqual(["good"]);
    expect(refused).toHaveLength(1);
    expect(refused[0]?.why).toContain("what came until then was kept");
    expect(await readdir(folder)).toEqual(["good"]);
  });
}

test("a file that shrank under a tar is refused, and the others are asked for again", async () => {
  await using home = await scratchFolder();
  const shrank = file("./shrank", "x".repeat(600), 5000);
  const offers = [
    Buffer.concat([GOOD, shrank]),
    Buffer.concat([GOOD, file("./shrank", "y".repeat(5000)), file("./later", "later"), TAR_END]),
  ];
  await using guest = await playGuest({
    onCollect: (channel) => {
      channel.write(offers.shift());
      channel.exit(0);
      channel.end();
    },
  });
  await using connected = await connectTo(guest, { options: { caps: CAPS } });
  const folder = join(home.path, "artifacts");
  const { artifacts, refused } = await connected.collect(["/x"], folder, NEVER);
  expect(artifacts.map(({ path }) => path)).toEqual(["good", "later"]);
  expect(refused).toEqual([{ name: "shrank", why: "it became shorter while it was read" }]);
  expect(offers).toEqual([]);
  expect((await readdir(folder)).sort()).toEqual(["good", "later"]);
});

test("an archive that breaks off each time ends the collection, and keeps what came before", async () => {
  await using home = await scratchFolder();
  const archive = Buffer.concat([GOOD, file("half", "x".repeat(600), 5000)]);
  const { artifacts, refused } = await collectFrom(archive, join(home.path, "artifacts"));
  expect(artifacts.map(({ path }) => path)).toEqual(["good"]);
  expect(refused.map(({ name }) => name)).toEqual(["half", "(the rest)"]);
});

async function* after(first: Buffer, rest: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  yield first;
  yield* rest;
}

test("a guest that stops in the middle of sending is not waited for", async () => {
  await using home = await scratchFolder();
  await using guest = await playGuest({
    onCollect: (channel) => void channel.write(Buffer.concat([GOOD, file("half", "x", 5000)])),
  });
  await using connected = await connectTo(guest);
  const { artifacts, refused } = await connected.collect(["/x"], join(home.path, "a"), NEVER);
  expect(artifacts.map(({ path }) => path)).toEqual(["good"]);
  expect(refused[0]?.why).toContain("stopped sending");
});

test("patterns that cannot be meant are refused, each with a reason", async () => {
  await using home = await scratchFolder();
  await using guest = await playGuest({});
  await using connected = await connectTo(guest);
  const patterns = ["", "/a/../b", "line\nbreak", "back\\slash", `/${"x".repeat(2000)}`];
  const { artifacts, refused } = await connected.collect(patterns, join(home.path, "a"), NEVER);
  expect(artifacts).toEqual([]);
  expect(refused).toHaveLength(5);
});

import { randomBytes } from "node:crypto";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { constants, crc32, createZstdCompress, gzipSync, zstdCompressSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { unpack } from "#host/images/fetch/unpack.ts";
import { Fault } from "#job/fault.ts";
import { command } from "#test/kit/command.ts";
import { inTime, sha256 } from "#test/kit/fetch-desk.ts";
import { scratchFolder } from "#test/kit/scratch.ts";
import { smallDisk } from "#test/kit/small-disk.ts";

type Kind = "gzip" | "xz" | "zstd";

const KINDS: readonly Kind[] = ["gzip", "xz", "zstd"];
const MIB = 2 ** 20;

/** What the program of that name makes of some bytes. */
async function packed(kind: Kind, content: Buffer): Promise<Buffer> {
  if (kind === "gzip") return gzipSync(content);
  if (kind === "zstd") return zstdCompressSync(content);
  await using folder = await scratchFolder();
  const path = join(folder.path, "content");
  await writeFile(path, content);
  const { exitCode, stderr } = await command("xz", [path]);
  if (exitCode !== 0) throw new Error(stderr);
  return await readFile(`${path}.xz`);
}

/** A disk's worth of bytes: noise, then holes and some text between. */
const CONTENT = Buffer.concat([
  randomBytes(700_001),
  Buffer.alloc(5 * MIB),
  Buffer.from("in the middle of nothing"),
  Buffer.alloc(3 * MIB),
]);

const packedContent = new Map<Kind, Promise<Buffer>>();

/** `CONTENT`, packed once for all tests, which get a copy each. */
async function contentIn(kind: Kind): Promise<Buffer> {
  const known = packedContent.get(kind) ?? packed(kind, CONTENT);
  packedContent.set(kind, known);
  return Buffer.from(await known);
}

/** A folder with packed bytes in it, to be unpacked to `to`. */
async function bench(bytes: Buffer) {
  const folder = await scratchFolder();
  const [path, to] = [join(folder.path, "packed"), join(folder.path, "disk")];
  await writeFile(path, bytes);
  const order = { path, bytes: CONTENT.length, sha256: sha256(CONTENT), to };
  return {
    to,
    left: async () => (await readdir(folder.path)).filter((name) => name !== "packed"),
    unpack: (changes: Partial<Parameters<typeof unpack>[0]> & { compression: Kind | "none" }) =>
      unpack({ ...order, ...changes }, inTime()),
    faultOf: (changes: Partial<Parameters<typeof unpack>[0]> & { compression: Kind | "none" }) =>
      unpack({ ...order, ...changes }, inTime()).then(() => {
        throw new Error("it was unpacked");
      }, Fault.from),
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

describe.each(KINDS)("a file packed with %s", (compression) => {
  test("unpacks to what it was, and zeros take no room", async () => {
    await using at = await bench(await contentIn(compression));
    await at.unpack({ compression });
    expect((await readFile(at.to)).equals(CONTENT)).toBe(true);
    const { blocks, size } = await stat(at.to);
    expect(size).toBe(CONTENT.length);
    expect(blocks * 512).toBeLessThan(2 * MIB);
  });

  test("in several streams is one content, as its own program has it", async () => {
    const halves = [CONTENT.subarray(0, 600_000), CONTENT.subarray(600_000)];
    const streams = await Promise.all(halves.map((half) => packed(compression, half)));
    await using at = await bench(Buffer.concat(streams));
    await at.unpack({ compression });
    expect((await readFile(at.to)).equals(CONTENT)).toBe(true);
  });

  test.each([
    ["text after it", (bytes: Buffer) => Buffer.concat([bytes, Buffer.from("and more")])],
    ["its end missing", (bytes: Buffer) => bytes.subarray(0, -5)],
    ["half of it missing", (bytes: Buffer) => bytes.subarray(0, bytes.length / 2)],
    ["a byte of it changed", (bytes: Buffer) => bytes.fill(bytes[5000] === 7 ? 8 : 7, 5000, 5001)],
    ["nothing in it", () => Buffer.alloc(0)],
    ["something else in it", () => Buffer.from("QFI\xfb something else", "latin1")],
  ])("with %s is refused, and nothing stays", async (_name, change) => {
    await using at = await bench(change(await contentIn(compression)));
    const fault = await at.faultOf({ compression });
    expect(fault).toMatchObject({ code: "image-refused", blame: "image" });
    expect(await at.left()).toEqual([]);
  });

  test("that unpacks to very much more stops at what was said", async () => {
    await using disk = await smallDisk(4);
    await using at = await bench(await packed(compression, Buffer.alloc(64 * MIB, "bomb")));
    const to = join(disk.path, "disk");
    const fault = await at.faultOf({ compression, bytes: MIB, to });
    expect(fault.code).toBe("image-refused");
    expect(fault.message).toContain(`unpacks to more than the ${MIB} bytes that were said`);
    expect(await readdir(disk.path)).toEqual([]);
  });

  test("is refused when it is shorter, or other, than was said", async () => {
    await using at = await bench(await contentIn(compression));
    const shorter = await at.faultOf({ compression, bytes: CONTENT.length + 1 });
    expect(shorter.message).toContain(`unpacks to ${CONTENT.length} bytes, not the`);
    const other = await at.faultOf({ compression, sha256: "0".repeat(64) });
    expect(other.message).toContain(`unpacks to SHA-256 ${sha256(CONTENT)}, not 000`);
    expect([shorter.code, other.code]).toEqual(["image-refused", "image-refused"]);
    await at.unpack({ compression });
  });

  test("needs room", async () => {
    await using disk = await smallDisk(1);
    const noise = randomBytes(2 * MIB);
    await using at = await bench(await packed(compression, noise));
    const order = { compression, bytes: noise.length, sha256: sha256(noise) };
    const fault = await at.faultOf({ ...order, to: join(disk.path, "disk") });
    expect(fault).toMatchObject({ code: "host-disk-full", blame: "host" });
    expect(await readdir(disk.path)).toEqual([]);
    await at.unpack(order);
  });
});

test("a file that is not packed is copied, checked in the same way", async () => {
  await using at = await bench(CONTENT);
  await at.unpack({ compression: "none" });
  expect((await readFile(at.to)).equals(CONTENT)).toBe(true);
  await using other = await bench(Buffer.concat([CONTENT, Buffer.from("x")]));
  expect((await other.faultOf({ compression: "none" })).code).toBe("image-refused");
  expect(await other.left()).toEqual([]);
});

test("a file that is there already is not written to", async () => {
  await using at = await bench(CONTENT);
  await writeFile(at.to, "mine");
  await at.faultOf({ compression: "none" });
  expect(await readFile(at.to, "utf8")).toBe("mine");
});

test("a window that would take more memory than is usual is refused", async () => {
  const { ZSTD_c_windowLog, ZSTD_c_enableLongDistanceMatching } = constants;
  // With the length unknown the window is not shortened to it.
  const wide = async (windowLog: number) => {
    const params = { [ZSTD_c_windowLog]: windowLog, [ZSTD_c_enableLongDistanceMatching]: 1 };
    const stream = createZstdCompress({ params });
    stream.write(CONTENT.subarray(0, MIB));
    stream.end(CONTENT.subarray(MIB));
    return Buffer.concat(await stream.toArray());
  };
  await using at = await bench(await wide(28));
  const fault = await at.faultOf({ compression: "zstd" });
  expect(fault.code).toBe("image-refused");
  await using usual = await bench(await wide(27));
  await usual.unpack({ compression: "zstd" });
});

test("a dictionary that would take more memory than is usual is refused", async () => {
  const bytes = await contentIn("xz");
  // The block's header (xz file format 1.2, 3.1): its size in words, flags, the filter LZMA2 with one byte on the dictionary.
  const [from, dictionaryAt] = [12, 16];
  expect(bytes.subarray(from, dictionaryAt)).toEqual(Buffer.from([2, 0, 0x21, 1]));
  const wide = (code: number) => {
    const changed = Buffer.from(bytes);
    changed[dictionaryAt] = code;
    changed.writeUInt32LE(crc32(changed.subarray(from, from + 8)), from + 8);
    return changed;
  };
  await using at = await bench(wide(34)); // 512 MiB
  const fault = await at.faultOf({ compression: "xz" });
  expect(fault.code).toBe("image-refused");
  expect(fault.message).toContain("Memory usage limit");
  await using usual = await bench(wide(28)); // 64 MiB
  await usual.unpack({ compression: "xz" });
});

test("a great number of empty streams is refused before long", async () => {
  const empty = zstdCompressSync(Buffer.alloc(0));
  const many = (count: number) =>
    Buffer.concat([...Array.from({ length: count }, () => empty), zstdCompressSync(CONTENT)]);
  await using at = await bench(many(4_001));
  const fault = await at.faultOf({ compression: "zstd" });
  expect(fault.message).toContain("is more than 4000 streams");
  await using few = await bench(many(500));
  await few.unpack({ compression: "zstd" });
});

test.each(KINDS)("%s unpacks to nothing when it is told to stop", async (compression) => {
  await using at = await bench(await packed(compression, Buffer.alloc(16 * MIB, "x")));
  const stop = new AbortController();
  const reason = new Error("the user has gone home");
  const work = unpack(
    { path: join(at.to, "../packed"), compression, bytes: 16 * MIB, sha256: "", to: at.to },
    stop.signal,
  );
  stop.abort(reason);
  await expect(work).rejects.toBe(reason);
  expect(await at.left()).toEqual([]);
});

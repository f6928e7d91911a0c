import { createHash } from "node:crypto";
import { mkdir, readdir, symlink } from "node:fs/promises";
import { dirname } from "node:path";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import type { ContentKey } from "#service/file-ports.ts";
import { ContentFiles } from "#service/files/content-files.ts";
import { Footprint } from "#service/files/footprint.ts";
import { contentPath } from "#service/files/paths.ts";
import { eventually } from "#test/kit/eventually.ts";
import { scratchFolder } from "#test/kit/scratch.ts";

const TEXT = "a content that comes in pieces";
const TOTAL = TEXT.length;

let root: string;
let contents: ContentFiles;

beforeEach(async () => {
  const folder = await scratchFolder();
  onTestFinished(() => folder[Symbol.asyncDispose]());
  root = folder.path;
  contents = new ContentFiles(root, new Footprint());
});

function keyOf(text: string): ContentKey {
  return { kind: "input", owner: "ada", sha256: createHash("sha256").update(text).digest("hex") };
}

async function* pieces(...texts: readonly string[]) {
  for (const text of texts) yield Buffer.from(text);
}

const KEY = keyOf(TEXT);
const at = (offset: number) => ({ offset, totalBytes: TOTAL });

test("a content comes in several uploads, across a restart, and is complete with its digest", async () => {
  expect(await contents.have(KEY)).toEqual({ haveBytes: 0, isComplete: false });
  expect(await contents.write(KEY, at(0), pieces(TEXT.slice(0, 3), TEXT.slice(3, 10)))).toEqual({
    kind: "taken",
    haveBytes: 10,
    isComplete: false,
  });
  await contents.write(KEY, at(10), pieces(TEXT.slice(10, 12)));
  const restarted = new ContentFiles(root, new Footprint());
  expect(await restarted.have(KEY)).toEqual({ haveBytes: 12, isComplete: false });
  const done = await restarted.write(KEY, at(12), pieces(TEXT.slice(12)));
  expect(done).toEqual({ kind: "taken", haveBytes: TOTAL, isComplete: true });
  expect((await buffer(restarted.read(KEY, { first: 2, last: 8 }))).toString()).toBe("content");
  expect(await readdir(dirname(contentPath(root, KEY)))).toEqual([KEY.sha256]);
});

test("bytes begin where the last ones ended, or nothing changes", async () => {
  await contents.write(KEY, at(0), pieces(TEXT.slice(0, 10)));
  for (const offset of [0, 9, 11]) {
    const answer = await contents.write(KEY, at(offset), pieces("xxx"));
    expect(answer).toEqual({ kind: "wrong-offset", haveBytes: 10, isComplete: false });
  }
});

test("what has another digest, or another length, is thrown away", async () => {
  const upper = await contents.write(KEY, at(0), pieces(TEXT.toUpperCase()));
  expect(upper).toEqual({ kind: "wrong-digest" });
  const longer = await contents.write(KEY, at(0), pieces(TEXT, "more"));
  expect(longer).toEqual({ kind: "wrong-digest" });
  expect(await contents.have(KEY)).toEqual({ haveBytes: 0, isComplete: false });
});

test("a complete content is left alone, whatever is sent", async () => {
  await contents.write(KEY, at(0), pieces(TEXT));
  const again = await contents.write(KEY, { offset: 5, totalBytes: 7 }, pieces("other"));
  expect(again).toEqual({ kind: "taken", haveBytes: TOTAL, isComplete: true });
});

test("a content of no bytes is one, too", async () => {
  const done = await contents.write(keyOf(""), { offset: 0, totalBytes: 0 }, pieces());
  expect(done).toEqual({ kind: "taken", haveBytes: 0, isComplete: true });
});

test("what came before a source broke is kept", async () => {
  async function* breaking() {
    yield Buffer.from(TEXT.slice(0, 7));
    throw new Error("the connection broke");
  }
  await expect(contents.write(KEY, at(0), breaking())).rejects.toThrow("the connection broke");
  const rest = await contents.write(KEY, at(7), pieces(TEXT.slice(7)));
  expect(rest).toMatchObject({ isComplete: true });
});

test("a newer upload takes over from one whose connection is silent", async () => {
  const silent = new Readable({ read: () => undefined });
  silent.push(TEXT.slice(0, 5));
  const first = contents.write(KEY, at(0), silent).catch((error: Error) => error);
  await eventually(async () => (await contents.have(KEY)).haveBytes === 5, 2_000);
  const second = await contents.write(KEY, at(5), pieces(TEXT.slice(5)));
  expect(second).toMatchObject({ isComplete: true });
  expect(await first).toMatchObject({ name: "FilesError", code: "superseded" });
  silent.destroy();
});

test("a full disk is told as full", async () => {
  const part = `${contentPath(root, KEY)}.part`;
  await mkdir(dirname(part), { recursive: true });
  await symlink("/dev/full", part);
  await expect(contents.write(KEY, at(0), pieces(TEXT))).rejects.toMatchObject({ code: "full" });
});

test("owners and attempts have their contents apart", async () => {
  await contents.write(KEY, at(0), pieces(TEXT));
  const bob: ContentKey = { kind: "input", owner: "bob", sha256: KEY.sha256 };
  const artifact: ContentKey = {
    kind: "artifact",
    jobId: "0123456789abcdef",
    attempt: 2,
    sha256: KEY.sha256,
  };
  for (const key of [bob, artifact]) expect((await contents.have(key)).isComplete).toBe(false);
});

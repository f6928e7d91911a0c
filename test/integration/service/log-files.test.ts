import { mkdir, readdir, readFile, readlink, rm, symlink } from "node:fs/promises";
import { dirname } from "node:path";
import { buffer } from "node:stream/consumers";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { Footprint } from "#service/files/footprint.ts";
import { LogFiles } from "#service/files/log-files.ts";
import { logPath } from "#service/files/paths.ts";
import { scratchFolder } from "#test/kit/scratch.ts";

const KEY = { jobId: "0123456789abcdef", attempt: 1, log: "output" };
const bytes = (text: string) => Buffer.from(text);

let root: string;
let logs: LogFiles;

beforeEach(async () => {
  const folder = await scratchFolder();
  root = folder.path;
  logs = new LogFiles(root, new Footprint());
  onTestFinished(async () => {
    await logs[Symbol.asyncDispose]();
    await folder[Symbol.asyncDispose]();
  });
});

/** Descriptors of this process that lead to a log of the test. */
async function openLogs(): Promise<number> {
  const paths = await Promise.allSettled(
    (await readdir("/proc/self/fd")).map((name) => readlink(`/proc/self/fd/${name}`)),
  );
  return paths.filter((path) => path.status === "fulfilled" && path.value.startsWith(root)).length;
}

test("many logs that grow keep few files open, and none once all is closed", async () => {
  for (const offset of [0, 3]) {
    const appends = Array.from({ length: 150 }, (_, number) =>
      logs.append({ ...KEY, log: `step-${number + 1}` }, offset, bytes("one")),
    );
    await Promise.all(appends);
  }
  expect(await logs.have({ ...KEY, log: "step-150" })).toBe(6);
  expect(await openLogs()).toBeLessThanOrEqual(64);
  await logs[Symbol.asyncDispose]();
  expect(await openLogs()).toBe(0);
  expect(await logs.append(KEY, 0, bytes("one"))).toEqual({ kind: "taken", haveBytes: 3 });
  expect(await openLogs()).toBe(0);
});

test("a log that was taken away between two pieces begins anew", async () => {
  await logs.append(KEY, 0, bytes("one"));
  await rm(logPath(root, KEY));
  expect(await logs.append(KEY, 3, bytes("two"))).toEqual({ kind: "wrong-offset", haveBytes: 0 });
  await logs.append(KEY, 0, bytes("one"));
  expect(await readFile(logPath(root, KEY), "utf8")).toBe("one");
});

test("a log grows at its end only, and says how much there is", async () => {
  expect(await logs.have(KEY)).toBe(0);
  expect(await logs.append(KEY, 0, bytes("one "))).toEqual({ kind: "taken", haveBytes: 4 });
  expect(await logs.append(KEY, 4, bytes("two"))).toEqual({ kind: "taken", haveBytes: 7 });
  for (const offset of [1, 5, 8, 2 ** 40]) {
    const answer = await logs.append(KEY, offset, bytes("nine"));
    expect(answer).toEqual({ kind: "wrong-offset", haveBytes: 7 });
  }
  expect(await readFile(logPath(root, KEY), "utf8")).toBe("one two");
});

test("the same bytes again are recognised, other bytes at the same place are not", async () => {
  await logs.append(KEY, 0, bytes("one two"));
  expect(await logs.append(KEY, 0, bytes("one"))).toEqual({ kind: "taken", haveBytes: 7 });
  expect(await logs.append(KEY, 4, bytes("two"))).toEqual({ kind: "taken", haveBytes: 7 });
  expect(await logs.append(KEY, 4, bytes("TWO"))).toMatchObject({ kind: "wrong-offset" });
  expect(await logs.append(KEY, 4, bytes("two and more"))).toMatchObject({ kind: "wrong-offset" });
});

test("of appends at once to the same place, one is taken", async () => {
  const texts = Array.from({ length: 20 }, (_, number) => `piece ${number}`.padEnd(10));
  const answers = await Promise.all(texts.map((text) => logs.append(KEY, 0, bytes(text))));
  expect(answers.filter(({ kind }) => kind === "taken")).toHaveLength(1);
  expect(await logs.have(KEY)).toBe(10);
});

test("a range is read, and appends are heard until the listener ends", async () => {
  await logs.append(KEY, 0, bytes("0123456789"));
  expect((await buffer(logs.read(KEY, { first: 2, last: 4 }))).toString()).toBe("234");
  let heard = 0;
  const listening = logs.onGrown(KEY, () => {
    heard += 1;
  });
  await logs.append(KEY, 10, bytes("a"));
  await logs.append({ ...KEY, log: "console" }, 0, bytes("a"));
  listening[Symbol.dispose]();
  await logs.append(KEY, 11, bytes("b"));
  expect(heard).toBe(1);
});

test("a full disk is told as full", async () => {
  await mkdir(dirname(logPath(root, KEY)), { recursive: true });
  await symlink("/dev/full", logPath(root, KEY));
  await expect(logs.append(KEY, 0, bytes("x"))).rejects.toMatchObject({ code: "full" });
  await expect(logs.append(KEY, 0, bytes("x"))).rejects.toMatchObject({ name: "FilesError" });
});

test("keeping is safe twice, and when there is nothing", async () => {
  await logs.keep(KEY.jobId, 1);
  await logs.append(KEY, 0, bytes("x"));
  await logs.keep(KEY.jobId, 1);
  await logs.keep(KEY.jobId, 1);
});

import { mkdir, readdir, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import {
  factsFolder,
  lastUsedMs,
  noteOrigin,
  noteSmoke,
  readOrigin,
  readSmoke,
  type Smoke,
  touchUsed,
} from "#host/images/store/facts.ts";
import { scratchFolder } from "#test/kit/scratch.ts";

const DIGEST = "a".repeat(64);
const SMOKE: Smoke = {
  outcome: "failed",
  why: "no SSH server answered",
  at: "2030-01-01T00:00:00.000Z",
  acceleration: "tcg",
  image: "toy:1",
};

test("who brought an image first is remembered, and the last smoke boot", async () => {
  await using store = await scratchFolder();
  const origin = { kind: "import", by: "/a/file", at: "2030-01-01T00:00:00Z" } as const;
  await noteOrigin(store.path, DIGEST, origin);
  await noteOrigin(store.path, DIGEST, { ...origin, kind: "recipe" });
  expect(await readOrigin(store.path, DIGEST)).toEqual(origin);
  await noteSmoke(store.path, DIGEST, SMOKE);
  await noteSmoke(store.path, DIGEST, { ...SMOKE, outcome: "passed" });
  expect(await readSmoke(store.path, DIGEST)).toMatchObject({ outcome: "passed" });
  expect((await readdir(factsFolder(store.path, DIGEST))).sort()).toEqual([
    "origin.json",
    "smoke.json",
  ]);
});

test.each([
  "",
  "{",
  "[]",
  "null",
  '{"outcome":"perhaps"}',
  JSON.stringify({ ...SMOKE, at: "yesterday" }),
])("a fact that says %j is none, and is replaced", async (text) => {
  await using store = await scratchFolder();
  const folder = factsFolder(store.path, DIGEST);
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "smoke.json"), text);
  expect(await readSmoke(store.path, DIGEST)).toBeUndefined();
  await noteSmoke(store.path, DIGEST, SMOKE);
  expect(await readSmoke(store.path, DIGEST)).toEqual(SMOKE);
});

test("a use is noted at the moment it happens, and nothing that is in the way stops a job", async () => {
  await using store = await scratchFolder();
  expect(await lastUsedMs(store.path, DIGEST)).toBeUndefined();
  await touchUsed(store.path, DIGEST);
  const used = join(factsFolder(store.path, DIGEST), "used");
  await utimes(used, 1, 1);
  await touchUsed(store.path, DIGEST);
  expect(await lastUsedMs(store.path, DIGEST)).toBeGreaterThan(Date.now() - 60_000);
  const blocked = join(store.path, "blocked");
  await mkdir(blocked);
  await writeFile(join(blocked, "facts"), "a file where a folder belongs");
  await touchUsed(blocked, DIGEST);
  expect(await lastUsedMs(blocked, DIGEST)).toBeUndefined();
});

test("only a digest has facts: nothing else becomes part of a path", () => {
  expect(() => factsFolder("/store", "../../etc")).toThrow("no digest");
});

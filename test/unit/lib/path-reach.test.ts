import { chmod, mkdir, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { groupsOf, unreachableParent } from "#lib/path-reach.ts";

/** Nobody's, here or elsewhere: QEMU's user as far as these tests go. */
const STRANGER = 64_999;
const me = process.getuid?.() ?? 0;
const myGroup = process.getgid?.() ?? 0;

let root = "";

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "path-reach-"));
  await chmod(root, 0o755);
  await mkdir(join(root, "a/b/c"), { recursive: true });
});

afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

test("an open way has no unreachable parent", async () => {
  expect(await unreachableParent(join(root, "a/b/c/disk"), STRANGER, [STRANGER])).toBeUndefined();
});

test("the outermost closed folder is named", async () => {
  await chmod(join(root, "a"), 0o700);
  await chmod(join(root, "a/b"), 0o700);
  expect(await unreachableParent(join(root, "a/b/c/disk"), STRANGER, [STRANGER])).toBe(
    join(root, "a"),
  );
});

test("a folder that can be read but not searched is closed", async () => {
  await chmod(join(root, "a/b"), 0o744);
  expect(await unreachableParent(join(root, "a/b/c/disk"), STRANGER, [STRANGER])).toBe(
    join(root, "a/b"),
  );
});

test("a group that may search opens the way, and only for its members", async () => {
  await chmod(join(root, "a"), 0o710);
  const path = join(root, "a/b/disk");
  expect(await unreachableParent(path, STRANGER, [STRANGER, myGroup])).toBeUndefined();
  expect(await unreachableParent(path, STRANGER, [STRANGER])).toBe(join(root, "a"));
});

test("the owner's bits count for the owner even when others may do more", async () => {
  await chmod(join(root, "a"), 0o077);
  const found = await unreachableParent(join(root, "a/disk"), me, [myGroup]);
  expect(found).toBe(me === 0 ? undefined : join(root, "a"));
});

test("the file's own folder counts and the file itself need not exist", async () => {
  await chmod(join(root, "a/b/c"), 0o700);
  expect(await unreachableParent(join(root, "a/b/c/none"), STRANGER, [])).toBe(join(root, "a/b/c"));
});

test("a link is followed to where it leads", async () => {
  await mkdir(join(root, "closed"), { mode: 0o700 });
  await symlink(join(root, "closed"), join(root, "a/link"));
  expect(await unreachableParent(join(root, "a/link/disk"), STRANGER, [])).toBe(
    join(root, "closed"),
  );
});

test("a folder that does not exist is an error, not an answer", async () => {
  await expect(unreachableParent(join(root, "none/at/all"), STRANGER, [])).rejects.toThrow(
    "ENOENT",
  );
});

test("groups come with the primary one first, and an unknown user has none", async () => {
  expect(await groupsOf(0)).toContain(0);
  expect(await groupsOf(STRANGER)).toEqual([]);
});

import { stat } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { makeFolders } from "#lib/make-folders.ts";
import { scratchFolder } from "#test/kit/scratch.ts";

test("makes what is missing, with its mode, twice and by two at once", async () => {
  await using folder = await scratchFolder();
  const path = join(folder.path, "a/b/c");
  await Promise.all([makeFolders(path, 0o700), makeFolders(path, 0o700)]);
  await makeFolders(path);
  expect((await stat(path)).mode & 0o777).toBe(0o700);
});

test("fails where no folder can be made, instead of trying for ever", async () => {
  await expect(makeFolders("/proc/nope/deeper")).rejects.toMatchObject({ code: "ENOENT" });
});

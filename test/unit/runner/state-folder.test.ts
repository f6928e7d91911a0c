import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { NewerState, openStateFolder } from "#host/runner/state-folder.ts";
import { scratchFolder } from "#test/kit/scratch.ts";

async function place(): Promise<string> {
  const scratch = await scratchFolder();
  onTestFinished(() => scratch[Symbol.asyncDispose]());
  return join(scratch.path, "state");
}

test("a folder of a newer testbed is not touched", async () => {
  const path = await place();
  await mkdir(path);
  await writeFile(join(path, "format"), "2\n");
  await expect(openStateFolder(path)).rejects.toThrow(NewerState);
  expect(await readdir(path)).toEqual(["format"]);
});

test("a folder without a format is of testbed 0.1.0, and says from then on which one it has", async () => {
  const path = await place();
  await mkdir(path);
  await writeFile(join(path, "installation"), `${"ab".repeat(16)}\n`);
  expect((await openStateFolder(path)).installation).toBe("ab".repeat(16));
  expect(await readFile(join(path, "format"), "utf8")).toBe("1\n");
});

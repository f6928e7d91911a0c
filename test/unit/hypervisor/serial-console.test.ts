import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { SerialConsole } from "#host/hypervisor/serial-console.ts";
import { scratchFolder } from "#test/kit/scratch.ts";

test("a console that nobody wrote yet is empty", async () => {
  await using folder = await scratchFolder();
  const console = new SerialConsole(join(folder.path, "console.log"));
  expect([await console.size(), (await console.tail(100)).length]).toEqual([0, 0]);
});

test("rotated files come first, oldest first", async () => {
  await using folder = await scratchFolder();
  const path = join(folder.path, "console.log");
  await writeFile(`${path}.1`, "oldest ");
  await writeFile(`${path}.0`, "older ");
  await writeFile(path, "new");
  const console = new SerialConsole(path);
  expect(await console.size()).toBe(16);
  expect((await console.tail(5)).toString()).toBe("r new");
  const copy = join(folder.path, "copy");
  await console.save(copy);
  expect(await readFile(copy, "utf8")).toBe("oldest older new");
});

test("a kernel panic is found, with the lines that follow it", async () => {
  await using folder = await scratchFolder();
  const path = join(folder.path, "console.log");
  const console = new SerialConsole(path);
  await writeFile(path, "booting\r\n");
  expect(await console.panic()).toBeUndefined();
  await writeFile(path, "booting\r\nKernel panic - not syncing: VFS\r\nCPU: 0\r\n");
  expect(await console.panic()).toBe("Kernel panic - not syncing: VFS\nCPU: 0\n");
});

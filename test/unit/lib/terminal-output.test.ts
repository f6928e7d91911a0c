import { execFileSync } from "node:child_process";
import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { TerminalOutput } from "#lib/terminal-output.ts";
import { eventually } from "#test/kit/eventually.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "testbed-output-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

test("text for two descriptors of one file keeps its order", async () => {
  const path = join(folder, "out");
  const [a, b] = [openSync(path, "a"), openSync(path, "a")];
  const output = new TerminalOutput();
  for (let line = 0; line < 200; line += 1) output.write(line % 2 === 0 ? a : b, `${line}\n`);
  expect(await output.isStuckAfter(5000)).toBe(false);
  expect(readFileSync(path, "utf8")).toBe(
    Array.from({ length: 200 }, (_, line) => `${line}\n`).join(""),
  );
  closeSync(a);
  closeSync(b);
});

test("a reader that takes nothing stops nobody, and gets everything later", async () => {
  const path = join(folder, "pipe");
  execFileSync("/usr/bin/mkfifo", [path]);
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const writer = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
  const output = new TerminalOutput();
  const size = 300_000;
  output.write(writer, "x".repeat(size));
  expect(await output.isStuckAfter(50)).toBe(true);
  expect(output.queuedBytes).toBe(size);
  let taken = 0;
  const buffer = Buffer.alloc(65_536);
  while (taken < size) {
    try {
      taken += readSync(reader, buffer);
    } catch (error) {
      expect((error as NodeJS.ErrnoException).code).toBe("EAGAIN");
      await output.isStuckAfter(5);
    }
  }
  expect(await output.isStuckAfter(5000)).toBe(false);
  expect(output.queuedBytes).toBe(0);
  output.write(writer, "x".repeat(size));
  const other = openSync(join(folder, "other"), "a");
  output.write(other, "this does not wait for the pipe");
  await eventually(() => readFileSync(join(folder, "other"), "utf8") !== "", 5000);
  closeSync(other);
  closeSync(reader);
  output.write(writer, "nobody reads this");
  expect(await output.isStuckAfter(5000)).toBe(false);
  closeSync(writer);
});

import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { inputNotes } from "#cli/run/input-notes.ts";
import { scratchFolder } from "#test/kit/scratch.ts";

const NEVER = new AbortController().signal;

test("stray links are named, a few of many, and harmless on a terminal", async () => {
  await using scratch = await scratchFolder();
  const [whole, odd, many] = ["whole", "odd", "many"].map((name) => join(scratch.path, name));
  for (const folder of [whole, odd, many]) await mkdir(folder ?? "");
  await writeFile(`${whole}/file`, "");
  await symlink("file", `${whole}/link`);
  await symlink("/opt/\u001b[2J", `${odd}/tool`);
  for (let number = 0; number < 8; number += 1) await symlink("../x", `${many}/${number}`);
  const inputs = [whole, odd, many].map((from) => ({ from: from ?? "", to: "/x" }));
  const notes = await inputNotes(inputs, NEVER);
  expect(notes).toEqual([
    `input ${odd}: symbolic links that may lead nowhere in the guest: tool -> /opt/\\u{1b}[2J (leads out)`,
    expect.stringMatching(/many: .* -> \.\.\/x \(leads out\), and 3 more$/),
  ]);
});

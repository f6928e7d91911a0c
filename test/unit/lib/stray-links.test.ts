import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type StrayLink, strayLinks } from "#lib/stray-links.ts";
import { scratchFolder } from "#test/kit/scratch.ts";

const NEVER = new AbortController().signal;

async function all(links: AsyncIterable<StrayLink>): Promise<readonly StrayLink[]> {
  const found = [];
  for await (const link of links) found.push(link);
  return found;
}

test("links that stay inside are no strays; those that leave or dangle are, wherever they stand", async () => {
  await using scratch = await scratchFolder();
  const folder = join(scratch.path, "input");
  await mkdir(join(folder, "a/b"), { recursive: true });
  await mkdir(join(scratch.path, "beside"));
  await writeFile(join(folder, "file"), "");
  const links = {
    inside: "file",
    "a/b/up": "../../file",
    "a/folder": "b",
    "a/outside": "../../beside",
    "a/b/back": "../../../input/file",
    absolute: join(folder, "file"),
    dangling: "not/there",
    loop: "loop",
    "a/..x": "..y",
  };
  for (const [name, target] of Object.entries(links)) await symlink(target, join(folder, name));
  const found = await all(strayLinks(folder, NEVER));
  expect(Object.fromEntries(found.map(({ name, why }) => [name, why]))).toEqual({
    "a/outside": "leads out",
    "a/b/back": "leads out",
    absolute: "leads out",
    dangling: "leads nowhere",
    loop: "leads nowhere",
    "a/..x": "leads nowhere",
  });
});

test("a file, or a folder that is not there, has none", async () => {
  await using scratch = await scratchFolder();
  await writeFile(join(scratch.path, "file"), "");
  expect(await all(strayLinks(join(scratch.path, "file"), NEVER))).toEqual([]);
  expect(await all(strayLinks(join(scratch.path, "none"), NEVER))).toEqual([]);
});

test("a large folder is left when the signal says so", async () => {
  await using scratch = await scratchFolder();
  await writeFile(join(scratch.path, "file"), "");
  const reason = new Error("enough");
  const looking = all(strayLinks(scratch.path, AbortSignal.abort(reason)));
  await expect(looking).rejects.toBe(reason);
});

test("a name that is not UTF-8 is named, and one that has U+FFFD in it is a name like any other", async () => {
  await using scratch = await scratchFolder();
  await writeFile(Buffer.concat([Buffer.from(`${scratch.path}/bad`), Buffer.from([0xff])]), "");
  await writeFile(join(scratch.path, "good\ufffd"), "");
  expect(await all(strayLinks(scratch.path, NEVER))).toEqual([
    { name: "bad\ufffd", target: "", why: "is not UTF-8" },
  ]);
});

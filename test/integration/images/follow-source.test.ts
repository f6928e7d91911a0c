import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { fileOf, openSource } from "#host/images/follow/source.ts";
import { scratchFolder } from "#test/kit/scratch.ts";

const NOBODY = { url: undefined, keys: [], hosts: [], allowAddresses: [], ca: undefined };

test("a file of a catalogue's folder lies inside it, whatever links there are on the way", async () => {
  await using scratch = await scratchFolder();
  const folder = join(scratch.path, "site");
  await mkdir(join(folder, "toy/1"), { recursive: true });
  await writeFile(join(folder, "toy/1/disk"), "disk");
  await symlink("/etc", join(folder, "outside"));
  await symlink("toy", join(folder, "inside"));
  await symlink(folder, join(scratch.path, "link"));
  const of = (path: string) => openSource({ ...NOBODY, path, allowUnsigned: true });

  expect(await fileOf(of(folder), "toy/1/disk")).toEqual({ path: join(folder, "toy/1/disk") });
  expect(await fileOf(of(folder), "inside/1/disk")).toEqual({
    path: join(folder, "inside/1/disk"),
  });
  const link = join(scratch.path, "link");
  expect(await fileOf(of(link), "toy/1/disk")).toEqual({ path: join(link, "toy/1/disk") });
  for (const url of ["outside/passwd", "../link/toy/1/disk"])
    await expect(fileOf(of(folder), url), url).rejects.toMatchObject({ code: "image-refused" });
});

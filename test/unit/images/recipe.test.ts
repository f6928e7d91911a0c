import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { findRecipe, recipeNames } from "#host/images/build/recipe.ts";
import { Fault } from "#job/fault.ts";
import { FIXTURE_IMAGES, ROOT } from "#test/kit/house.ts";
import { scratchFolder } from "#test/kit/scratch.ts";

const SHIPPED = join(ROOT, "images");
const PLAIN = 'name: plain\nversion: "1"\nsummary: Plain\ntools: {}\ntimeoutMinutes: 1\n';

async function writeRecipe(catalogue: string, name: string, yaml: string): Promise<void> {
  await mkdir(join(catalogue, name), { recursive: true });
  await writeFile(join(catalogue, name, "image.yaml"), yaml);
  await writeFile(join(catalogue, name, "build.sh"), "true\n");
}

describe("the recipes that ship", () => {
  test("are micro, debian-12 and the drill", async () => {
    expect(await recipeNames([SHIPPED])).toEqual(["debian-12", "micro", "unbootable"]);
  });

  test.each([SHIPPED, FIXTURE_IMAGES])("can all be read: %s", async (catalogue) => {
    for (const name of await recipeNames([catalogue]))
      expect(await findRecipe([catalogue], name)).toMatchObject({ name });
  });

  test("keep a panic visible, on a serial console", async () => {
    for (const name of await recipeNames([SHIPPED])) {
      const boot = (await findRecipe([SHIPPED], name))?.boot;
      if (boot?.kind !== "kernel") continue;
      const line = boot.commandLine;
      expect(line).toContain("panic=0");
      expect(line).toContain("console=ttyS0");
    }
  });

  test("name no package source: that is the host's business", async () => {
    for (const name of await recipeNames([SHIPPED])) {
      const recipe = await findRecipe([SHIPPED], name);
      expect(JSON.stringify(recipe)).not.toMatch(/https?:/);
    }
  });
});

describe("a catalogue folder", () => {
  test("that comes first wins, and one that does not exist holds nothing", async () => {
    await using folder = await scratchFolder();
    const [first, second] = [join(folder.path, "first"), join(folder.path, "second")];
    await writeRecipe(first, "plain", PLAIN);
    await writeRecipe(second, "plain", PLAIN);
    const missing = join(folder.path, "missing");
    const recipe = await findRecipe([missing, first, second], "plain");
    expect(recipe?.folder).toBe(join(first, "plain"));
    expect(await recipeNames([missing, second])).toEqual(["plain"]);
    expect(await findRecipe([missing], "plain")).toBeUndefined();
  });

  test.each([
    ["an unknown key", `${PLAIN}loginn: root\n`, "loginn"],
    ["a missing key", PLAIN.replace(/^tools.*\n/m, ""), "tools is missing"],
    ["another name than its folder's", PLAIN.replace("plain", "other"), "'other'"],
    ["no YAML", "name: [", "image.yaml"],
    ["a base that is a path", `${PLAIN}from: ../micro\n`, "from"],
  ])("with %s in a recipe says so", async (_, yaml, words) => {
    await using folder = await scratchFolder();
    await writeRecipe(folder.path, "plain", yaml);
    const fault = await findRecipe([folder.path], "plain").catch(Fault.from);
    expect(fault).toMatchObject({ code: "image-build-failed" });
    expect((fault as Fault).message).toContain(words);
  });
});

describe("a recipe's hash", () => {
  test("follows content, names and what links point to", async () => {
    await using folder = await scratchFolder();
    await writeRecipe(folder.path, "plain", PLAIN);
    await writeFile(join(folder.path, "shared"), "one");
    const hashes = new Set<string | undefined>();
    const note = async () => hashes.add((await findRecipe([folder.path], "plain"))?.hash);
    await note();
    await note();
    expect(hashes.size).toBe(1);
    await writeFile(join(folder.path, "plain", "build.sh"), "false\n");
    await note();
    await writeFile(join(folder.path, "plain", "more"), "");
    await note();
    await symlink("../shared", join(folder.path, "plain", "link"));
    await note();
    await writeFile(join(folder.path, "shared"), "two");
    await note();
    expect(hashes.size).toBe(5);
  });
});

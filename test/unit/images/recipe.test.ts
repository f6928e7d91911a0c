import { mkdir, symlink, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { findRecipe, recipeNames } from "#host/images/build/recipe.ts";
import { Fault } from "#job/fault.ts";
import { EXAMPLE_IMAGES, FIXTURE_IMAGES, ROOT } from "#test/kit/house.ts";
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
    expect(await recipeNames([SHIPPED])).toEqual([
      "debian-12",
      "debian-12-uefi",
      "micro",
      "unbootable",
    ]);
  });

  test.each([SHIPPED, FIXTURE_IMAGES, EXAMPLE_IMAGES])("can all be read: %s", async (catalogue) => {
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

describe("a recipe with steps", () => {
  const DERIVED = 'name: derived\nversion: "1"\nsummary: Derived\nfrom: plain\ntimeoutMinutes: 1\n';
  const STEPS = "steps: [{ name: make, run: make, timeout: 5m }]\n";
  const FULL = `${DERIVED}${STEPS}inputs: [{ from: src/a..b, to: /src }]
debs: [tcc, libc6-dev]
cpus: 2
memory: 1GiB
disk: 8GiB
releases: [bookworm]
login: builder
`;

  async function read(yaml: string, hasScript = false) {
    await using folder = await scratchFolder();
    await mkdir(join(folder.path, "derived"));
    await writeFile(join(folder.path, "derived", "image.yaml"), yaml);
    if (hasScript) await writeFile(join(folder.path, "derived", "build.sh"), "true\n");
    return await findRecipe([folder.path], "derived").catch(Fault.from);
  }

  test("has what a job has, and needs no build.sh", async () => {
    expect(await read(`${DERIVED}${STEPS}`)).toMatchObject({ from: "plain" });
    expect(await read(FULL)).toMatchObject({
      steps: [{ name: "make", run: "make", timeout: "5m" }],
      inputs: [{ from: "src/a..b", to: "/src" }],
      debs: ["tcc", "libc6-dev"],
      disk: "8GiB",
      login: "builder",
    });
  });

  test.each<[string, string, boolean, string]>([
    ["both", FULL, true, "only one can make the image"],
    ["neither", DERIVED, false, "neither a build.sh beside it nor steps in it"],
    ["debs and no steps", `${DERIVED}tools: {}\ndebs: [tcc]\n`, true, "debs goes with steps"],
    ["cpus and no steps", `${DERIVED}tools: {}\ncpus: 2\n`, true, "cpus goes with steps"],
    ["no base", FULL.replace("from: plain\n", ""), false, "from is missing"],
    ["packages", `${FULL}packages: [tcc]\n`, false, "packages is for a build.sh"],
    ["tools", `${FULL}tools: {}\n`, false, "tools is for a build.sh"],
    ["no step at all", `${DERIVED}steps: []\n`, false, "steps is empty"],
    ["an unknown key", `${DERIVED}steps: [{ name: a, runn: b }]\n`, false, "steps.0"],
    ["a limit without its unit", FULL.replace("5m", "5"), false, "steps.0.timeout"],
    ["too little memory", FULL.replace("1GiB", "1MiB"), false, "memory is '1MiB'"],
    [
      "two steps of one name",
      `${DERIVED}steps: [{ name: a, run: b }, { name: a, run: b }]\n`,
      false,
      "steps.1.name is the name of step 1 too",
    ],
    ["an input above its folder", FULL.replace("src/a..b", "src/../../a"), false, "inputs.0.from"],
    ["an input from anywhere", FULL.replace("src/a..b", "/etc/shadow"), false, "inputs.0.from"],
    ["an input to nowhere", FULL.replace("/src", "src/"), false, "inputs.0.to"],
    ["an option for a package", FULL.replace("tcc", "-oDir=/"), false, "debs.0"],
  ])("with %s is refused, and says where", async (_, yaml, hasScript, words) => {
    const fault = await read(yaml, hasScript);
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

  test("is not taken of a folder that is too large to be read each time", async () => {
    await using folder = await scratchFolder();
    await writeRecipe(folder.path, "plain", PLAIN);
    await writeFile(join(folder.path, "plain", "large"), "");
    await truncate(join(folder.path, "plain", "large"), 2 ** 28);
    const fault = await findRecipe([folder.path], "plain").catch(Fault.from);
    expect((fault as Fault).message).toContain("more than 256 MiB");
  });
});

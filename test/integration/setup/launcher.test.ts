import { cp, mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { command, PATH } from "#test/kit/command.ts";
import { ROOT } from "#test/kit/house.ts";
import { scratchFolder } from "#test/kit/scratch.ts";

test("the launcher works through a link in PATH and beside a node that does not run", async () => {
  await using folder = await scratchFolder();
  await symlink(join(ROOT, "bin/testbed"), join(folder.path, "testbed"));
  await writeFile(join(folder.path, "node"), "#!/bin/sh\nexit 1\n", { mode: 0o755 });
  const { exitCode, stdout } = await command(join(folder.path, "testbed"), ["--version"], {
    env: { PATH: `${folder.path}:${PATH}` },
  });
  expect(exitCode).toBe(0);
  expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
});

test("npx finds the command in a clone", async () => {
  // npm reads its settings and writes its cache below HOME.
  await using home = await scratchFolder();
  const { stdout } = await command("npx", ["--prefix", ROOT, "testbed", "--version"], {
    env: { PATH, HOME: home.path, npm_config_offline: "true" },
  });
  expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
});

test("a clone without its packages says how to get them", async () => {
  await using folder = await scratchFolder();
  await cp(join(ROOT, "bin"), join(folder.path, "bin"), { recursive: true });
  const { exitCode, stderr } = await command(join(folder.path, "bin/testbed"), ["--version"]);
  expect(exitCode).toBe(3);
  expect(stderr).toBe(
    `testbed: its packages are not installed. Run this once: (cd '${folder.path}' && npm ci)\n`,
  );
});

test("without a new enough node the launcher lists those that it found", async () => {
  await using folder = await scratchFolder();
  await cp(join(ROOT, "bin"), join(folder.path, "bin"), { recursive: true });
  await mkdir(join(folder.path, "node_modules/commander"), { recursive: true });
  await writeFile(join(folder.path, "node_modules/commander/package.json"), "{}");
  await writeFile(join(folder.path, "node"), "#!/bin/sh\necho v20.1.0\n", { mode: 0o755 });
  const { exitCode, stderr } = await command(join(folder.path, "bin/testbed"), [], {
    env: { PATH: `${folder.path}:/usr/bin:/bin`, TESTBED_NODE: "/nowhere/node" },
  });
  expect(exitCode).toBe(3);
  expect(stderr).toContain("needs Node.js 24 or newer");
  expect(stderr).toContain("/nowhere/node: not there");
  expect(stderr).toContain(`${folder.path}/node: v20.1.0`);
});

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { command } from "#test/kit/command.ts";
import { ROOT } from "#test/kit/house.ts";
import { expectNothingLeft } from "#test/kit/leftovers.ts";
import { scratchFolder } from "#test/kit/scratch.ts";
import { testEnvironment } from "#test/kit/testbed.ts";

test("quickstart ends with a passed job whose log, artifact and verdict are shown", async () => {
  await using folder = await scratchFolder();
  const results = join(folder.path, "results");
  const { exitCode, stdout, stderr } = await command(join(ROOT, "setup/quickstart"), [results], {
    env: testEnvironment(),
    timeoutMs: 280_000,
  });
  expect(stderr).not.toContain("failed with exit status");
  expect(exitCode).toBe(0);
  expect(stdout).toContain("-- verdict: passed");
  expect(stdout).toMatch(/-- .*\/steps\/01-\S+\.log \(\d+ bytes\)\n\S/);
  expect(stdout).toMatch(/-- .*\/artifacts\/\S+ \(\d+ bytes\)\n\S/);
  expect(JSON.parse(await readFile(join(results, "verdict.json"), "utf8"))).toMatchObject({
    verdict: { kind: "passed" },
  });
  await expectNothingLeft();
});

import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { listMachines } from "#cli/this-host/our-machines.ts";
import { openStateFolder } from "#host/runner/state-folder.ts";
import { machineName } from "#job/machine-name.ts";
import { scratchFolder } from "#test/kit/scratch.ts";

test("a machine that is beginning just now is listed without its lock being touched, which would end it", async () => {
  await using scratch = await scratchFolder();
  const state = await openStateFolder(join(scratch.path, "state"));
  const name = machineName({ installation: state.installation, job: "e".repeat(16), attempt: 1 });
  const folder = join(state.path, "machines", name);
  await mkdir(folder, { recursive: true });
  const none = { list: async () => [] };
  const listed = await listMachines(state, none, new AbortController().signal);
  expect(listed).toMatchObject([{ name, state: "leftover" }]);
  expect(existsSync(join(folder, "lock"))).toBe(false);
});

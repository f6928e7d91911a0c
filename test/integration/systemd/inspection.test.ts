import { expect, test } from "vitest";
import { confinedArgs } from "#host/images/inspect/confined.ts";
import { UnitFile } from "#test/kit/unit-file.ts";
import { underUnit } from "#test/kit/unit-filters.ts";

test("the daemon's unit lets a program be confined, as an image's inspection needs it", async () => {
  const argv = confinedArgs(["qemu-img", "--version"], false);
  const { exitCode, stdout, stderr } = await underUnit(new UnitFile("testbedd.service"), argv);
  expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
  expect(stdout).toMatch(/^qemu-img version /);
});

test("and no namespace that nothing needs", async () => {
  const argv = ["unshare", "--user", "--mount", "true"];
  const { exitCode, stderr } = await underUnit(new UnitFile("testbedd.service"), argv);
  expect(exitCode).toBe(1);
  expect(stderr).toContain("unshare failed: Operation not permitted");
});

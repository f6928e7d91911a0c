import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { TOOLS } from "#host/doctor/tools.ts";
import { ROOT } from "#test/kit/house.ts";

const listed = readFileSync(join(ROOT, "setup/package-list"), "utf8")
  .split("\n")
  .filter((line) => line !== "" && !line.startsWith("#"))
  .map((line) => line.split(" "));

test("every line of the package list has a use, a package and a reason", () => {
  expect(listed.length).toBeGreaterThan(10);
  const bad = listed.filter(
    ([use = "", , ...why]) => !["run", "image", "test", "bench"].includes(use) || why.length === 0,
  );
  expect(bad).toEqual([]);
});

test("set-up installs the package of every tool that the doctor looks for, for the same use", () => {
  for (const [use, tools] of Object.entries(TOOLS)) {
    const packages = listed.filter(([itsUse]) => itsUse === use).map(([, name]) => name);
    expect(packages).toEqual(expect.arrayContaining(Object.values(tools)));
  }
});

import { join, sep } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { sortGlobs } from "#host/guest/artifact-globs.ts";
import { ArtifactNames } from "#host/guest/artifact-names.ts";
import { Refusals } from "#host/guest/refusals.ts";

test("whatever a guest calls a file, an admitted path lies below the folder and can be printed", () => {
  const part = fc.oneof(
    fc.constantFrom("..", ".", "", "a", "\0", "\n", "\\", "é", "\u202e"),
    fc.string({ unit: "binary" }),
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 8 }), (parts) => {
      const admitted = new ArtifactNames().admit(parts.join("/"));
      if ("why" in admitted) return;
      const { path } = admitted;
      expect(join("/results", path)).toBe(`/results${sep}${path}`);
      expect(path).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}]/u);
      expect(path.split("/")).not.toContain("..");
      expect(Buffer.byteLength(path)).toBeLessThanOrEqual(1024);
    }),
    { numRuns: 500 },
  );
});

test("a name is admitted once, until it is forgotten", () => {
  const names = new ArtifactNames();
  expect(names.admit("./a/b")).toEqual({ path: "a/b" });
  expect(names.admit("A/B")).toHaveProperty("why");
  names.forget("./a/b");
  expect(names.admit("A/B")).toEqual({ path: "A/B" });
});

test("patterns are sorted by what they are relative to, and made what the runner takes", () => {
  const { globs, refused } = sortGlobs([
    "/build//out/*.xml",
    "report/**",
    "/**/**/x/./[ab]?.txt",
    "**",
    "/a/**/b/**",
  ]);
  expect(refused).toEqual([]);
  expect(globs).toEqual([
    {
      base: "/",
      patterns: ["/build//out/*.xml", "/**/**/x/./[ab]?.txt", "/a/**/b/**"],
      runnerPatterns: ["./build/out/*.xml", "./**/x/[ab]?.txt", "./a/**/b"],
    },
    { base: ".", patterns: ["report/**", "**"], runnerPatterns: ["./report", "."] },
  ]);
});

test("no pattern becomes more than one line, or leads up", () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: "binary" })), (patterns) => {
      const { globs, refused } = sortGlobs(patterns);
      const lines = globs.flatMap(({ runnerPatterns }) => runnerPatterns);
      expect(lines.length + refused.length).toBe(patterns.length);
      for (const line of lines) {
        expect(line).toMatch(/^\.(\/|$)/);
        expect(line).not.toMatch(/[\p{Cc}\\]/u);
        expect(line.split("/")).not.toContain("..");
      }
    }),
  );
});

test("refusals are listed up to their number, and the rest counted", () => {
  const refusals = new Refusals(2);
  for (const name of ["a", "b", "c", "d"]) refusals.add(name, "because");
  expect(refusals.list()).toEqual([
    { name: "a", why: "because" },
    { name: "b", why: "because" },
    { name: "…", why: "2 more were refused" },
  ]);
});

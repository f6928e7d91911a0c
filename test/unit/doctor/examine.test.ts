import { expect, test } from "vitest";
import { report } from "#cli/doctor.ts";
import { CHECKS } from "#host/doctor/checks.ts";
import { examine } from "#host/doctor/examine.ts";
import { ok, quoted, warning } from "#host/doctor/finding.ts";
import { hostView } from "#test/kit/host-view.ts";
import { scratchFolder } from "#test/kit/scratch.ts";

test("a check that never ends is a problem at its deadline, and the others are told", async () => {
  await using folder = await scratchFolder();
  const findings = await examine(
    [
      { name: "stuck", deadlineMs: 20, look: () => new Promise(() => undefined) },
      { name: "broken", deadlineMs: 1_000, look: () => Promise.reject(new Error("oh")) },
      { name: "fine", deadlineMs: 1_000, look: async () => ok("well") },
    ],
    await hostView(folder.path),
  );
  expect(findings).toEqual([
    { name: "stuck", mark: "problem", found: "no answer within 0.02 s" },
    { name: "broken", mark: "problem", found: "oh" },
    { name: "fine", mark: "ok", found: "well" },
  ]);
});

test("each check has a name of its own and a deadline below half a minute", () => {
  expect(new Set(CHECKS.map(({ name }) => name)).size).toBe(CHECKS.length);
  expect(CHECKS.filter(({ deadlineMs }) => !(deadlineMs > 0 && deadlineMs <= 30_000))).toEqual([]);
});

test("the report is aligned, gives the cure below its finding, and escapes what is not text", () => {
  const findings = [
    { name: "a", ...ok("fine\u001b[2J") },
    { name: "longer", ...warning("so so", "do it") },
  ];
  expect(report(findings)).toBe(
    [
      "ok       a       fine\\u{1b}[2J",
      "warning  longer  so so",
      "                 try: do it",
      "",
      "Jobs can run here (checks: 2, problems: 0, warnings: 1).",
      "",
    ].join("\n"),
  );
});

test("words for a shell are quoted when they must be", () => {
  expect(quoted("/var/lib/testbed")).toBe("/var/lib/testbed");
  expect(quoted("a b")).toBe("'a b'");
  expect(quoted("it's")).toBe("'it'\\''s'");
});

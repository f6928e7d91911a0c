import { expect, test } from "vitest";
import { compare, weigh } from "#bench/goal.ts";
import type { Report } from "#bench/report.ts";
import { table } from "#bench/table.ts";

const report: Report = {
  startedAt: "2026-01-01T00:00:00.000Z",
  durationMs: 61_000,
  host: { cpus: 2, kernel: "6.1", node: "24.0.0", openssh: "OpenSSH_9.2p1" },
  parts: [
    {
      part: "b",
      title: "a server",
      findings: [
        {
          name: "exec",
          comparisons: [
            compare({ against: "ssh", of: "time", limit: 0.5 }, [{ oursMs: 2.5, theirsMs: 10 }]),
            compare({ against: "sftp", of: "speed", limit: 15 }, [{ oursMs: 2.5, theirsMs: 5 }]),
          ],
          amounts: [weigh("memory", "MiB", { values: [1.234, 2.345, 3.456] })],
          rounds: 15,
          noisyRounds: 2,
        },
      ],
    },
  ],
  targets: { met: 1, missed: 1 },
};

test("every comparison has its times, its ratio, its target and whether it was met", () => {
  const lines = table(report).split("\n");
  expect(lines.find((line) => line.includes("ssh "))).toMatch(
    /^ {2}testbed +ssh +2\.5 ms +10 ms +time 0\.25 \(0\.25\.\.0\.25\) +≤ 0\.5 +met$/,
  );
  expect(lines.find((line) => line.includes("sftp"))).toMatch(/speed 2 .* ≥ 15 +MISSED$/);
  expect(lines.find((line) => line.includes("memory"))).toMatch(/2\.35 MiB \(1\.23\.\.3\.46\)$/);
  expect(lines.find((line) => line.startsWith("exec"))).toMatch(/15 rounds, 2 noisy$/);
  expect(table(report)).toContain("1 targets met, 1 missed, in 61 s");
});

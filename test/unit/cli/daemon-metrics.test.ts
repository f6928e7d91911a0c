import { expect, test } from "vitest";
import { daemonMetrics } from "#cli/daemon/daemon-metrics.ts";

const DAEMON = {
  endings: [
    { verdict: "passed", fault: undefined, count: 7 },
    { verdict: "broken", fault: "machine-refused", count: 2 },
  ],
  takenOver: 3,
  running: 2,
  delivering: 1,
  state: "quarantined",
  isServiceAway: true,
  slotsFree: 4,
  quarantine: { faults: 3, pauses: 2, isIn: true },
  healthChecks: { passed: 5, failed: 1, skipped: 0 },
} as const;

const UPKEEP = {
  chores: [
    { name: "disk", runs: 9, failures: 1, lastMs: 1500, lastSuccessMs: 1_900_000_000_500 },
    { name: "health", runs: 0, failures: 0, lastMs: undefined, lastSuccessMs: undefined },
  ],
  spooled: { open: 1, finished: 2, aside: 3, unreadable: 0 },
  diskFreeBytes: 12345,
} as const;

const text = () => daemonMetrics({ version: "0.1.0", daemon: DAEMON, upkeep: UPKEEP });

test("every number has its line, what is not known yet has none", () => {
  const lines = text()
    .split("\n")
    .filter((line) => line.startsWith("testbed_"));
  expect(lines).toEqual([
    'testbed_attempts_ended_total{verdict="passed",fault=""} 7',
    'testbed_attempts_ended_total{verdict="broken",fault="machine-refused"} 2',
    "testbed_attempts_taken_over_total 3",
    "testbed_attempts_running 2",
    "testbed_attempts_delivering 1",
    'testbed_spooled_bytes{state="open"} 1',
    'testbed_spooled_bytes{state="finished"} 2',
    'testbed_spooled_bytes{state="aside"} 3',
    'testbed_spooled_bytes{state="unreadable"} 0',
    'testbed_host_state{state="quarantined"} 1',
    "testbed_service_away 1",
    "testbed_slots_free 4",
    "testbed_disk_free_bytes 12345",
    "testbed_quarantine 1",
    "testbed_quarantine_faults 3",
    "testbed_quarantine_pauses 2",
    'testbed_health_checks_total{outcome="passed"} 5',
    'testbed_health_checks_total{outcome="failed"} 1',
    'testbed_health_checks_total{outcome="skipped"} 0',
    'testbed_chore_runs_total{chore="disk"} 9',
    'testbed_chore_runs_total{chore="health"} 0',
    'testbed_chore_failures_total{chore="disk"} 1',
    'testbed_chore_failures_total{chore="health"} 0',
    'testbed_chore_last_duration_seconds{chore="disk"} 1.5',
    'testbed_chore_last_success_seconds{chore="disk"} 1900000000.5',
    'testbed_build_info{version="0.1.0"} 1',
  ]);
});

test("each family is told once, with its kind and what it is; a counter is called total", () => {
  const families = [...text().matchAll(/^# HELP (\S+) \S.*\.\n# TYPE \1 (counter|gauge)\n\1/gm)];
  const told = text().match(/^# HELP/gm) ?? [];
  expect(families.length).toBe(told.length);
  for (const [, name, type] of families) expect(name?.endsWith("_total")).toBe(type === "counter");
});

import type { DaemonNumbers } from "#host/daemon/daemon-numbers.ts";
import type { ChoreNumbers } from "#host/upkeep/chore.ts";
import {
  type Family,
  metricsText,
  one,
  PROCESS_FAMILIES,
  processSamples,
  type Sample,
} from "#lib/metrics-text.ts";
import type { HostUpkeepNumbers } from "./daemon-upkeep.ts";

/** What a daemon's numbers are made of. */
export type MetricsParts = {
  readonly version: string;
  readonly daemon: DaemonNumbers;
  readonly upkeep: HostUpkeepNumbers;
};

/** What each family of numbers is. Labels have few values: verdicts, codes of faults, chores, states. */
const FAMILIES = {
  testbed_attempts_ended_total: ["counter", "Attempts that ended here, by verdict and fault."],
  testbed_attempts_taken_over_total: [
    "counter",
    "Attempts of an earlier daemon that were taken over.",
  ],
  testbed_attempts_running: ["gauge", "Attempts that have room on this host."],
  testbed_attempts_delivering: ["gauge", "Attempts that are over, and not with the service yet."],
  testbed_spooled_bytes: [
    "gauge",
    "Bytes of attempts on this host's disk, by state, a minute ago.",
  ],
  testbed_host_state: ["gauge", "1 for the state that the host is in."],
  testbed_service_away: ["gauge", "1 while the job service does not answer."],
  testbed_slots_free: ["gauge", "Machines that there is room for."],
  testbed_disk_free_bytes: ["gauge", "Free on the state folder's file system."],
  testbed_quarantine: ["gauge", "1 while the host takes no work since it broke too much."],
  testbed_quarantine_faults: ["gauge", "Faults of this host in a row."],
  testbed_quarantine_pauses: ["gauge", "Pauses since an attempt ended well."],
  testbed_health_checks_total: ["counter", "Health checks, by what came of them."],
  testbed_chore_runs_total: ["counter", "Runs of the caretaker's chores."],
  testbed_chore_failures_total: ["counter", "Runs of them that went wrong."],
  testbed_chore_last_duration_seconds: ["gauge", "Length of a chore's last run."],
  testbed_chore_last_success_seconds: [
    "gauge",
    "When a run of a chore ended well last, since 1970.",
  ],
  ...PROCESS_FAMILIES,
} as const satisfies Record<string, Family>;

/** A daemon's numbers in Prometheus' text format. */
export function daemonMetrics({ version, daemon, upkeep }: MetricsParts): string {
  const { chores, spooled, diskFreeBytes } = upkeep;
  const of = (value: (chore: ChoreNumbers) => number | undefined) =>
    chores.flatMap((chore): Sample[] => {
      const number = value(chore);
      return number === undefined ? [] : [[{ chore: chore.name }, number]];
    });
  const inSeconds = (ms: number | undefined) => (ms === undefined ? undefined : ms / 1000);
  return metricsText(FAMILIES, {
    testbed_attempts_ended_total: daemon.endings.map(
      ({ verdict, fault = "", count }): Sample => [{ verdict, fault }, count],
    ),
    testbed_attempts_taken_over_total: one(daemon.takenOver),
    testbed_attempts_running: one(daemon.running),
    testbed_attempts_delivering: one(daemon.delivering),
    testbed_spooled_bytes: Object.entries(spooled ?? {}).map(
      ([state, bytes]): Sample => [{ state }, bytes],
    ),
    testbed_host_state: [[{ state: daemon.state }, 1]],
    testbed_service_away: one(daemon.isServiceAway ? 1 : 0),
    testbed_slots_free: one(daemon.slotsFree),
    testbed_disk_free_bytes: one(diskFreeBytes),
    testbed_quarantine: one(daemon.quarantine.isIn ? 1 : 0),
    testbed_quarantine_faults: one(daemon.quarantine.faults),
    testbed_quarantine_pauses: one(daemon.quarantine.pauses),
    testbed_health_checks_total: Object.entries(daemon.healthChecks).map(
      ([outcome, count]): Sample => [{ outcome }, count],
    ),
    testbed_chore_runs_total: of(({ runs }) => runs),
    testbed_chore_failures_total: of(({ failures }) => failures),
    testbed_chore_last_duration_seconds: of(({ lastMs }) => inSeconds(lastMs)),
    testbed_chore_last_success_seconds: of(({ lastSuccessMs }) => inSeconds(lastSuccessMs)),
    ...processSamples(version),
  });
}

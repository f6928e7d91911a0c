import {
  type Family,
  maybe,
  metricsText,
  one,
  PROCESS_FAMILIES,
  processSamples,
  type Sample,
  sampleText,
} from "#lib/metrics-text.ts";
import type { UpkeepNumbers } from "#service/ports.ts";
import type { Rooms } from "./rooms.ts";

/** Upper ends of the buckets of a request's duration, in seconds; long polls lie beyond the last. */
const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

type Operation = {
  readonly byStatus: Map<number, number>;
  readonly buckets: number[];
  sumSeconds: number;
  count: number;
};

/**
 * The service's numbers in Prometheus' text format, named by its rules: base units, `_total` for counters, few label values.
 * Written by hand: a page of text was not worth a dependency.
 */
export class Metrics {
  readonly #operations = new Map<string, Operation>();

  /** Counts a request that was answered. */
  count(operation: string, status: number, seconds: number): void {
    const known = this.#operations.get(operation) ?? {
      byStatus: new Map<number, number>(),
      buckets: BUCKETS.map(() => 0),
      sumSeconds: 0,
      count: 0,
    };
    this.#operations.set(operation, known);
    known.byStatus.set(status, (known.byStatus.get(status) ?? 0) + 1);
    const bucket = BUCKETS.findIndex((end) => seconds <= end);
    if (bucket >= 0) known.buckets[bucket] = (known.buckets[bucket] ?? 0) + 1;
    known.sumSeconds += seconds;
    known.count += 1;
  }

  /** All numbers as they are now. */
  async text({ store, waiters, gate, version, upkeep }: Rooms): Promise<string> {
    const { hosts, attempts, queued } = await store.census();
    const samples = {
      testbed_http_requests_total: this.#requests(),
      testbed_hosts: Object.entries(hosts).map(([state, count]): Sample => [{ state }, count]),
      testbed_attempts_running: one(attempts),
      testbed_jobs_queued: one(queued),
      testbed_hosts_waiting: one(waiters.size),
      testbed_waits_open: one(gate.waits),
      ...upkeepSamples(upkeep?.numbers()),
      ...processSamples(version),
    };
    return metricsText(FAMILIES, samples) + this.#durations();
  }

  #requests(): readonly Sample[] {
    return [...this.#operations].flatMap(([operation, { byStatus }]) =>
      [...byStatus].map(([code, count]): Sample => [{ operation, code: String(code) }, count]),
    );
  }

  #durations(): string {
    const name = "testbed_http_request_duration_seconds";
    const lines = [...this.#operations].flatMap(([operation, { buckets, sumSeconds, count }]) => {
      let below = 0;
      const ends = BUCKETS.map((end, at) => {
        below += buckets[at] ?? 0;
        return sampleText(`${name}_bucket`, [{ operation, le: String(end) }, below]);
      });
      return [
        ...ends,
        sampleText(`${name}_bucket`, [{ operation, le: "+Inf" }, count]),
        sampleText(`${name}_sum`, [{ operation }, sumSeconds]),
        sampleText(`${name}_count`, [{ operation }, count]),
      ];
    });
    const head = `# HELP ${name} Time from a request's headers to the end of its answer.\n# TYPE ${name} histogram\n`;
    return head + lines.join("");
  }
}

/** What each family of numbers is. */
const FAMILIES = {
  testbed_http_requests_total: ["counter", "Requests answered, by operation and status."],
  testbed_hosts: ["gauge", "Hosts by state."],
  testbed_attempts_running: ["gauge", "Attempts that hosts hold leases of."],
  testbed_jobs_queued: ["gauge", "Jobs that wait for a host."],
  testbed_hosts_waiting: ["gauge", "Hosts that wait for a lease right now."],
  testbed_waits_open: ["gauge", "Streams, and long polls for jobs, that are open right now."],
  testbed_removed_total: ["counter", "Things that upkeep removed, by kind."],
  testbed_removed_bytes_total: ["counter", "Bytes of the files that upkeep removed."],
  testbed_files_bytes: [
    "gauge",
    "Bytes of all logs, artifacts and inputs, once all were looked at.",
  ],
  testbed_files_limit_bytes: ["gauge", "What they may take before the oldest leave."],
  testbed_database_bytes: ["gauge", "Size of the database, without its write-ahead log."],
  testbed_database_free_bytes: ["gauge", "Of it unused: the next rows go there."],
  ...PROCESS_FAMILIES,
} as const satisfies Record<string, Family>;

function upkeepSamples(numbers: UpkeepNumbers | undefined) {
  const removed = Object.entries(numbers?.removed ?? {});
  return {
    testbed_removed_total: removed.map(([kind, count]): Sample => [{ kind }, count]),
    testbed_removed_bytes_total: maybe(numbers?.removedBytes),
    testbed_files_bytes: maybe(numbers?.filesBytes),
    testbed_files_limit_bytes: maybe(numbers?.filesBytesMax),
    testbed_database_bytes: maybe(numbers?.database.bytes),
    testbed_database_free_bytes: maybe(numbers?.database.freeBytes),
  };
}

import type { Endings } from "./attempt-tally.ts";
import type { DaemonStatus } from "./daemon-status.ts";
import type { HealthCounts } from "./health-desk.ts";
import type { Quarantine } from "./quarantine.ts";

/** What there is to count of a daemon, for metrics. All counts since it started. */
export type DaemonNumbers = {
  readonly endings: readonly Endings[];
  /** Attempts of an earlier daemon that this one found. */
  readonly takenOver: number;
  readonly running: number;
  readonly delivering: number;
  readonly state: DaemonStatus["state"];
  readonly isServiceAway: boolean;
  /** Room, whether or not the host takes work. */
  readonly slotsFree: number;
  readonly quarantine: Pick<Quarantine, "faults" | "pauses"> & { readonly isIn: boolean };
  readonly healthChecks: HealthCounts;
};

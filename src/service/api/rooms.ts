import type { Contents, Logs, Space } from "#service/file-ports.ts";
import type { Store, UpkeepNumbers } from "#service/ports.ts";
import type { BodyBudget } from "./body-budget.ts";
import type { Gate } from "./gate.ts";
import type { JobChanges } from "./job-changes.ts";
import type { LeaseWaiters } from "./lease-waiters.ts";
import type { Limits } from "./limits.ts";
import type { Metrics } from "./metrics.ts";
import type { Remarks } from "./remarks.ts";

/** What handlers work with. */
export type Rooms = {
  readonly store: Store;
  readonly logs: Logs;
  readonly contents: Contents;
  readonly space: Space;
  readonly gate: Gate;
  readonly changes: JobChanges;
  readonly waiters: LeaseWaiters;
  readonly limits: Limits;
  readonly metrics: Metrics;
  readonly bodies: BodyBudget;
  /** Missing where nobody keeps order. */
  readonly upkeep?: { numbers(): UpkeepNumbers };
  readonly version: string;
  readonly remarks: Remarks;
};

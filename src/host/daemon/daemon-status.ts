import type { Room } from "#protocol/lease.ts";
import type { AttemptView } from "./attempts.ts";

/** What a daemon does now, for people. */
export type DaemonStatus = {
  readonly host: string;
  /**
   * working: takes leases. holding: would, but for `why`. quarantined: broke too much, and waits for a health check. draining: finishes
   * what runs. drained: nothing runs.
   */
  readonly state: "working" | "holding" | "quarantined" | "draining" | "drained";
  readonly why?: string;
  readonly capacity: Room;
  readonly free: Room;
  readonly acceleration?: "kvm" | "tcg";
  /** What the last question to the service came to; missing when it answers. */
  readonly serviceTrouble?: string;
  readonly attempts: readonly AttemptView[];
};

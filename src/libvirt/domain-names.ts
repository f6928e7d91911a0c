/** Names for the numbers that libvirt gives to states and events of a domain; the place in a list is the number. */

const STATES = [
  "none",
  "running",
  "blocked",
  "paused",
  "shutting-down",
  "shutoff",
  "crashed",
  "suspended",
] as const;

/** `unknown` stands for a state that is newer than our list. */
export type DomainState = (typeof STATES)[number] | "unknown";

const STATE_REASONS: Partial<Record<DomainState, readonly string[]>> = {
  running: [
    "unknown",
    "booted",
    "migrated",
    "restored",
    "from-snapshot",
    "unpaused",
    "migration-cancelled",
    "save-cancelled",
    "wakeup",
    "crashed",
    "postcopy",
    "postcopy-failed",
  ],
  paused: [
    "unknown",
    "user",
    "migration",
    "save",
    "dump",
    "io-error",
    "watchdog",
    "from-snapshot",
    "shutting-down",
    "snapshot",
    "crashed",
    "starting-up",
    "postcopy",
    "postcopy-failed",
    "api-error",
  ],
  "shutting-down": ["unknown", "user"],
  shutoff: [
    "unknown",
    "shutdown",
    "destroyed",
    "crashed",
    "migrated",
    "saved",
    "failed",
    "from-snapshot",
    "daemon",
  ],
  crashed: ["unknown", "panicked"],
};

const LIFECYCLE = [
  "defined",
  "undefined",
  "started",
  "suspended",
  "resumed",
  "stopped",
  "shutdown",
  "pm-suspended",
  "crashed",
] as const;

/** What happened to a domain; `unknown` is something newer than our list. */
export type LifecycleEvent = (typeof LIFECYCLE)[number] | "unknown";

const LIFECYCLE_DETAILS: Partial<Record<LifecycleEvent, readonly string[]>> = {
  defined: ["added", "updated", "renamed", "from-snapshot"],
  undefined: ["removed", "renamed"],
  started: ["booted", "migrated", "restored", "from-snapshot", "wakeup", "recreated"],
  suspended: [
    "paused",
    "migrated",
    "io-error",
    "watchdog",
    "restored",
    "from-snapshot",
    "api-error",
    "postcopy",
    "postcopy-failed",
  ],
  resumed: ["unpaused", "migrated", "from-snapshot", "postcopy", "postcopy-failed"],
  stopped: [
    "shutdown",
    "destroyed",
    "crashed",
    "migrated",
    "saved",
    "failed",
    "from-snapshot",
    "recreated",
  ],
  shutdown: ["finished", "guest", "host"],
  "pm-suspended": ["memory", "disk"],
  crashed: ["panicked", "crash-loaded"],
};

const WATCHDOG_ACTIONS = [
  "none",
  "pause",
  "reset",
  "poweroff",
  "shutdown",
  "debug",
  "inject-nmi",
] as const;

const IO_ERROR_ACTIONS = ["none", "pause", "report"] as const;

export type WatchdogAction = (typeof WATCHDOG_ACTIONS)[number] | "unknown";
export type IoErrorAction = (typeof IO_ERROR_ACTIONS)[number] | "unknown";

export function domainState(state: number): DomainState {
  return STATES[state] ?? "unknown";
}

/** Why a domain is in its state, `unknown` for a number that our list does not have. */
export function stateReason(state: DomainState, reason: number): string {
  return STATE_REASONS[state]?.[reason] ?? "unknown";
}

export function lifecycleEvent(event: number): LifecycleEvent {
  return LIFECYCLE[event] ?? "unknown";
}

/** How it happened, `unknown` for a number that our list does not have. */
export function lifecycleDetail(event: LifecycleEvent, detail: number): string {
  return LIFECYCLE_DETAILS[event]?.[detail] ?? "unknown";
}

export function watchdogAction(action: number): WatchdogAction {
  return WATCHDOG_ACTIONS[action] ?? "unknown";
}

export function ioErrorAction(action: number): IoErrorAction {
  return IO_ERROR_ACTIONS[action] ?? "unknown";
}

import { DURATION, SIZE } from "./config-schema.ts";

/** What it must look like is node-cron's to say, which the composition root asks: see `src/cli/daemon/daemon-findings.ts`. */
const schedule = {
  type: "string",
  pattern: "^[A-Za-z0-9*,/#?@ -]{1,100}$",
  patternErrorMessage:
    "must be a cron expression of this host's time zone, such as '*/5 * * * *' or '0 4 * * sun'",
} as const;

/** When the caretaker of a host does what: a section of its configuration. */
export const UPKEEP_SECTION = {
  type: "object",
  additionalProperties: false,
  default: {},
  description: "When the caretaker does its chores: cron expressions, in this host's time zone.",
  properties: {
    sweep: {
      ...schedule,
      default: "*/5 * * * *",
      description: "Removes machines whose maker is gone.",
    },
    disk: {
      ...schedule,
      default: "* * * * *",
      description: "Looks at the disk, and relieves it when it is short.",
    },
    evidence: {
      ...schedule,
      default: "17 * * * *",
      description: "Removes evidence that is too old or too much.",
    },
    state: {
      ...schedule,
      default: "41 3 * * *",
      description: "Looks through the state folder for what does not belong there.",
    },
    health: {
      ...schedule,
      default: "23 */6 * * *",
      description: "Runs a small job of the daemon's own on image micro; off: only in quarantine.",
    },
  },
} as const;

/** How long evidence stays that the service does not want: a section of a host's configuration. */
export const EVIDENCE_SECTION = {
  type: "object",
  additionalProperties: false,
  default: {},
  description: "Evidence that was set aside: of attempts whose lease was lost.",
  properties: {
    age: {
      ...DURATION,
      least: "1h",
      most: "3650d",
      default: "7d",
      description: "How long it stays, 1h to 3650d.",
    },
    size: {
      ...SIZE,
      least: "1MiB",
      most: "100TiB",
      default: "10GiB",
      description: "Most that it takes in all, 1MiB to 100TiB; beyond, the oldest leaves.",
    },
  },
} as const;

/** When a host takes itself out of work: a section of its configuration. */
export const QUARANTINE_SECTION = {
  type: "object",
  additionalProperties: false,
  default: {},
  description: "A host that breaks attempts by its own fault takes no work for a while.",
  properties: {
    after: {
      type: "integer",
      minimum: 0,
      maximum: 1000,
      default: 3,
      description: "So many attempts in a row, 1 to 1000; 0: never.",
    },
    firstPause: {
      ...DURATION,
      least: "1s",
      most: "1d",
      default: "2m",
      description: "The first pause, 1s to 1d; each one after it is twice as long.",
    },
    longestPause: {
      ...DURATION,
      least: "1s",
      most: "30d",
      default: "1h",
      description: "The longest pause, 1s to 30d.",
    },
  },
} as const;

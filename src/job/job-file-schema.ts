import type { Static } from "typebox";
import { duration, size } from "./quantity.ts";
import { VISIBLE } from "./values.ts";

/**
 * The job file as JSON Schema 2020-12: at once the published schema (`testbed schema job`), what ajv checks, and the
 * source of the type below. Written out as plain data, since TypeBox reads its type from that just as well and its
 * builders cost 90 ms at every start. `patternErrorMessage` is the keyword that editors show for a pattern.
 *
 * What JSON Schema cannot say (ranges of sizes and durations, unique names) is in `job-file-checks.ts`.
 */

/** The longest time limit. Below 2^31 ms (24.8 days), above which Node's timers fire at once. */
export const TIMEOUT_SECONDS = { min: 1, max: 24 * 86_400 } as const;
export const MEMORY_MIB = { min: 64, max: 1024 * 1024 } as const;
export const DISK_MIB = { min: 64, max: 16 * 1024 * 1024 } as const;

const step = {
  type: "object",
  additionalProperties: false,
  required: ["name", "run"],
  properties: {
    name: {
      type: "string",
      description:
        "Unique in the job: 1 to 64 visible characters. Names the step in messages, in the verdict and in its log file.",
      pattern: `^${VISIBLE}{1,64}$`,
      patternErrorMessage: "must be 1 to 64 characters on one line, all of them visible",
    },
    run: {
      type: "string",
      description:
        "POSIX shell text, run byte for byte by the guest's /bin/sh as the image's login user; 1 byte to 256 KiB, no NUL. The step fails when it exits with anything but 0.",
      pattern: "^[^\\u0000\\p{Cs}]*$",
      patternErrorMessage:
        "must be text without NUL characters; put numbers, true and false in quotes",
      minLength: 1,
      maxLength: 262_144,
    },
    when: {
      enum: ["success", "failure", "always"],
      default: "success",
      description:
        "Run the step when all steps before it passed (success, the default), when one of them did not (failure), or in any case (always).",
    },
    timeout: {
      ...duration,
      description:
        "Limit of this step, 1s to 24d; default: none but the job's. At the limit the step is killed in the guest and the job times out.",
    },
    silence: {
      ...duration,
      description:
        "Kill the step when it prints nothing for so long, 1s to 24d; default: never. The job times out.",
    },
  },
} as const;

const input = {
  type: "object",
  additionalProperties: false,
  required: ["from", "to"],
  properties: {
    from: {
      type: "string",
      description:
        "File or folder on this machine; relative paths begin at the job file's folder. At most 4096 characters.",
      pattern: "^[^\\p{Cc}\\p{Cs}]{1,4096}$",
      patternErrorMessage: "must be a path without control characters",
    },
    to: {
      type: "string",
      description:
        "Absolute path in the guest, at most 1024 characters, without '..'. Missing folders are made.",
      pattern: "^/(?!(.*/)?\\.\\.(/|$))[^\\p{Cc}\\p{Cs}]{1,1023}$",
      patternErrorMessage:
        "must be an absolute path in the guest, without '..' and control characters, such as /build/src",
    },
  },
} as const;

export const jobFileSchema = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  $id: "urn:testbed:job",
  title: "testbed job file",
  description:
    "What to run in a clean virtual machine. YAML or JSON, at most 1 MiB, one document without anchors, aliases and tags.",
  type: "object",
  additionalProperties: false,
  required: ["image", "steps"],
  properties: {
    image: {
      type: "string",
      description:
        "Image of the catalogue: name, name:version, or name@sha256: and 64 hexadecimal digits.",
      pattern: "^[a-z0-9][a-z0-9-]{0,62}(:[A-Za-z0-9][A-Za-z0-9._-]{0,31}|@sha256:[0-9a-f]{64})?$",
      patternErrorMessage:
        "must be an image's name, name:version, or name@sha256:<64 hex digits>, such as debian-12",
    },
    resources: {
      type: "object",
      description: "Size of the machine.",
      additionalProperties: false,
      properties: {
        cpus: {
          type: "integer",
          minimum: 1,
          maximum: 64,
          default: 1,
          description: "Virtual CPUs, 1 to 64; default 1.",
        },
        memory: {
          ...size,
          description: "Memory, 64MiB to 1TiB; default: the least that the image asks for.",
        },
        disk: {
          ...size,
          description:
            "Size of the machine's disk, 64MiB to 16TiB, not less than the image's; default: the image's.",
        },
      },
    },
    network: {
      enum: ["nat"],
      default: "nat",
      description:
        "nat (the default): the machine reaches out through the host; nobody reaches in.",
    },
    timeout: {
      ...duration,
      default: "1h",
      description: "Limit of each attempt, boot included, 1s to 24d; default 1h.",
    },
    attempts: {
      type: "integer",
      minimum: 1,
      maximum: 10,
      default: 1,
      description:
        "How often the job may be tried, 1 to 10; default 1. Only an attempt that broke is tried again, never one that failed.",
    },
    inputs: {
      type: "array",
      maxItems: 100,
      items: input,
      description: "Files and folders to send before the first step; at most 100.",
    },
    env: {
      type: "object",
      maxProperties: 200,
      propertyNames: {
        pattern: "^[A-Za-z_][A-Za-z0-9_]{0,127}$",
        patternErrorMessage: "must be letters, digits and _, not beginning with a digit",
      },
      additionalProperties: {
        type: "string",
        pattern: "^[^\\u0000\\p{Cs}]*$",
        patternErrorMessage:
          "must be text without NUL characters; put numbers, true and false in quotes",
        maxLength: 32_768,
      },
      description:
        "Environment of all steps: at most 200 variables, each value text of at most 32768 characters. Not for secrets.",
    },
    steps: {
      type: "array",
      minItems: 1,
      maxItems: 100,
      items: step,
      description: "The commands, run in order; 1 to 100.",
    },
    artifacts: {
      type: "array",
      maxItems: 100,
      items: {
        type: "string",
        pattern: "^/(?!(.*/)?\\.\\.(/|$))[^\\p{Cc}\\p{Cs}]{1,1023}$",
        patternErrorMessage:
          "must be an absolute path or glob pattern in the guest, without '..' and control characters, such as /build/out/*.log",
      },
      description:
        "Absolute paths in the guest to bring home, with * and other glob characters; at most 100. Collected however the job ended, while the guest answers.",
    },
  },
} as const;

/** A job file that passed the schema. */
export type JobFile = Static<typeof jobFileSchema>;

/** Keys that are planned: refused as such, so that nobody believes that they did something. */
export const NOT_YET: readonly string[] = ["secrets", "tests", "keep", "steps.*.reboot"];

/** Values that are planned. */
export const VALUES_NOT_YET: Readonly<Record<string, readonly unknown[]>> = {
  network: ["isolated", "none"],
};

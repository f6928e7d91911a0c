/**
 * The single values that messages are made of, as JSON Schema. Every text, list and number on the wire is bounded here or
 * where it is used. Written as plain data: see `job/job-file-schema.ts` for why.
 */

export const jobId = {
  type: "string",
  pattern: "^[0-9a-f]{16}$",
  patternErrorMessage: "must be a job's id, 16 hexadecimal digits",
} as const;

export const leaseId = {
  type: "string",
  pattern: "^[0-9a-f]{32}$",
  patternErrorMessage: "must be a lease's id, 32 hexadecimal digits",
} as const;

export const tokenId = {
  type: "string",
  pattern: "^[0-9a-f]{8}$",
  patternErrorMessage: "must be a token's id, 8 hexadecimal digits",
} as const;

/** Names a host in tables, paths and metrics; a host token carries the same name. */
export const hostName = {
  type: "string",
  pattern: "^[a-z0-9][a-z0-9.-]{0,62}$",
  patternErrorMessage: "must be 1 to 63 of a-z, 0-9, . and -, such as lab-7",
} as const;

/** Who owns jobs and inputs: the name that a submitter's token carries. */
export const ownerName = {
  type: "string",
  pattern: "^[a-z0-9][a-z0-9.@_-]{0,62}$",
  patternErrorMessage: "must be 1 to 63 of a-z, 0-9, ., @, _ and -",
} as const;

const label = {
  type: "string",
  pattern: "^[a-z0-9][a-z0-9._=-]{0,62}$",
  patternErrorMessage: "must be 1 to 63 of a-z, 0-9, ., _, = and -, such as arch=x86_64",
} as const;

export const labels = {
  type: "array",
  maxItems: 32,
  uniqueItems: true,
  items: label,
} as const;

/** `output` is what `testbed run` would print of the attempt; the numbers are the steps' places in the job, from 1. */
export const logName = {
  type: "string",
  pattern: "^(output|console|step-[1-9][0-9]{0,2})$",
  patternErrorMessage: "must be output, console or step-<number>",
} as const;

/** By the service's clock, for people; nothing is decided by it. */
export const time = {
  type: "string",
  pattern: "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z$",
  patternErrorMessage: "must be a time such as 2030-01-02T03:04:05.678Z",
} as const;

/** Ten attempts at most count, and ten that a restart of ours broke do not. */
export const ATTEMPTS_MAX = 20;

export const attemptNumber = { type: "integer", minimum: 1, maximum: ATTEMPTS_MAX } as const;

/** Where a list goes on: opaque, from the reply before. */
export const cursor = {
  type: "string",
  pattern: "^[A-Za-z0-9_-]{1,64}$",
  patternErrorMessage: "must be a cursor from an earlier reply",
} as const;

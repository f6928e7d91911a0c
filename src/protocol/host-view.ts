import type { Static } from "typebox";
import { acceleration, line, phase, prose } from "#job/values.ts";
import { offeredImageSchema, roomSchema, versionsSchema } from "./lease.ts";
import { attemptNumber, hostName, jobId, labels, time } from "./values.ts";

/** What people and programs see of hosts. */

export const hostSchema = {
  type: "object",
  additionalProperties: false,
  required: [
    "name",
    "state",
    "since",
    "seenAt",
    "versions",
    "free",
    "capacity",
    "images",
    "labels",
    "acceleration",
    "doing",
    "faults",
  ],
  properties: {
    name: hostName,
    state: {
      enum: ["ready", "draining", "drained", "lost"],
      description: "draining: takes nothing new and finishes what runs. lost: silent for too long.",
    },
    since: { ...time, description: "When it came, was drained, or was lost." },
    seenAt: { ...time, description: "When it was last heard, to about a minute." },
    drain: { ...line, description: "Why it is drained." },
    hold: {
      ...line,
      description: "Why it takes nothing, in its own words, when it was last heard.",
    },
    versions: versionsSchema,
    free: roomSchema,
    capacity: roomSchema,
    images: { type: "array", maxItems: 500, items: offeredImageSchema },
    labels,
    acceleration,
    doing: {
      type: "array",
      maxItems: 1000,
      items: {
        type: "object",
        additionalProperties: false,
        required: ["jobId", "attempt", "phase", "since"],
        properties: {
          jobId,
          attempt: attemptNumber,
          phase,
          since: { ...time, description: "Of the lease." },
        },
      },
    },
    faults: {
      type: "array",
      maxItems: 20,
      description: "The last attempts that broke there, newest first.",
      items: {
        type: "object",
        additionalProperties: false,
        required: ["jobId", "attempt", "code", "at"],
        properties: {
          jobId,
          attempt: attemptNumber,
          code: { type: "string", maxLength: 64 },
          message: prose,
          at: time,
        },
      },
    },
  },
} as const;

export const hostListSchema = {
  type: "object",
  additionalProperties: false,
  required: ["hosts"],
  properties: { hosts: { type: "array", maxItems: 10_000, items: hostSchema } },
} as const;

export const drainRequestSchema = {
  type: "object",
  additionalProperties: false,
  required: [],
  properties: { why: { ...line, description: "For people; default: who asked." } },
} as const;

/** A host as others see it. */
export type HostView = Static<typeof hostSchema>;

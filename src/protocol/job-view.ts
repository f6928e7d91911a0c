import type { Static } from "typebox";
import { imageName, line, phase, prose, sha256, verdictKind } from "#job/values.ts";
import { artifactSchema, verdictSchema } from "#job/verdict-schema.ts";
import { spooledSchema } from "./lease.ts";
import {
  ATTEMPTS_MAX,
  attemptNumber,
  cursor,
  hostName,
  jobId,
  labels,
  ownerName,
  time,
} from "./values.ts";
import { attemptReportSchema } from "./verdict.ts";
import { wireJobSchema } from "./wire-job.ts";

/** What people and programs see of jobs. */

export const jobState = {
  enum: ["queued", "leased", "running", "settled"],
  description:
    "queued: waits for a host. leased: a host has it and has not begun. running: a host is at it, see phase. settled: over, see verdict.",
} as const;

const summaryProperties = {
  id: jobId,
  name: { ...line, maxLength: 100 },
  owner: ownerName,
  image: wireJobSchema.properties.image,
  priority: { type: "integer", minimum: -100, maximum: 100 },
  labels,
  state: jobState,
  phase: { ...phase, description: "Of the attempt that goes on." },
  host: { ...hostName, description: "Where the last attempt is or was." },
  attempts: { type: "integer", minimum: 0, maximum: ATTEMPTS_MAX, description: "Made so far." },
  attemptsMax: { type: "integer", minimum: 1, maximum: 10 },
  verdict: { ...verdictKind, description: "Of the job; only when it is settled." },
  submittedAt: time,
  startedAt: { ...time, description: "Of the first lease." },
  settledAt: time,
} as const;

const summaryRequired = [
  "id",
  "owner",
  "image",
  "priority",
  "labels",
  "state",
  "attempts",
  "attemptsMax",
  "submittedAt",
] as const;

export const jobSummarySchema = {
  type: "object",
  description: "A job in a list.",
  additionalProperties: false,
  required: summaryRequired,
  properties: summaryProperties,
} as const;

const attemptSchema = {
  type: "object",
  additionalProperties: false,
  required: ["number", "host", "phase", "state", "leasedAt"],
  properties: {
    number: attemptNumber,
    host: hostName,
    phase: { ...phase, description: "The last one that was heard of." },
    state: {
      enum: ["live", "ended", "fenced"],
      description:
        "ended: with a verdict of its host. fenced: its lease was lost, and what comes of it is refused.",
    },
    leasedAt: time,
    endedAt: time,
    verdict: verdictSchema,
    why: { ...prose, description: "Of a fenced one." },
    report: attemptReportSchema,
    spooled: spooledSchema,
  },
} as const;

const waitingSchema = {
  type: "object",
  description: "Why a queued job waits.",
  additionalProperties: false,
  required: ["reason", "says", "position"],
  properties: {
    reason: {
      enum: ["no-hosts", "no-image", "no-labels", "too-large", "hosts-away", "busy", "next"],
      description:
        "no-hosts: there are none. no-image, no-labels, too-large: none that could take it. hosts-away: those that could are drained or lost. busy: those that could are full. next: a host has room for it.",
    },
    says: { ...prose, maxLength: 1000 },
    position: {
      type: "integer",
      minimum: 1,
      maximum: 1000,
      description:
        "Place among the queued jobs with the same needs, from 1; 1000 stands for all beyond.",
    },
  },
} as const;

export const jobDetailSchema = {
  type: "object",
  description: "All that is known of a job.",
  additionalProperties: false,
  required: [...summaryRequired, "job", "attemptList"],
  properties: {
    ...summaryProperties,
    job: wireJobSchema,
    queueLimitSeconds: { type: "integer", minimum: 1 },
    why: { ...prose, description: "Of the verdict, in words." },
    waiting: waitingSchema,
    cancel: { ...line, description: "Somebody asked to cancel it, and why." },
    filesRemovedAt: { ...time, description: "When its logs and artifacts left; they answer 410." },
    pinned: {
      type: "object",
      description: "What the image's name was pinned to at the first lease, for all attempts.",
      additionalProperties: false,
      required: ["name", "digest"],
      properties: { name: imageName, digest: sha256 },
    },
    attemptList: { type: "array", maxItems: ATTEMPTS_MAX, items: attemptSchema },
  },
} as const;

export const jobListSchema = {
  type: "object",
  additionalProperties: false,
  required: ["jobs"],
  properties: {
    jobs: { type: "array", maxItems: 500, items: jobSummarySchema },
    next: { ...cursor, description: "Where the list goes on; missing at its end." },
  },
} as const;

export const eventSchema = {
  type: "object",
  description: "One line of a job's history.",
  additionalProperties: false,
  required: ["number", "at", "kind", "says"],
  properties: {
    number: {
      type: "integer",
      minimum: 1,
      description: "Counted from 1 for each job, without gaps.",
    },
    at: time,
    kind: {
      enum: [
        "submitted",
        "queued",
        "leased",
        "pinned",
        "phase",
        "cancel",
        "ended",
        "fenced",
        "settled",
        "removed",
      ],
      description: "removed: its logs and artifacts left after their time, or to make room.",
    },
    attempt: attemptNumber,
    host: hostName,
    phase,
    verdict: {
      ...verdictKind,
      description: "With ended: of the attempt. With settled: of the job.",
    },
    fault: {
      type: "string",
      maxLength: 64,
      description: "The fault's code; with ended and fenced.",
    },
    says: { ...prose, maxLength: 1000, description: "What happened and why, for people." },
  },
} as const;

export const eventListSchema = {
  type: "object",
  additionalProperties: false,
  required: ["events"],
  properties: { events: { type: "array", maxItems: 1000, items: eventSchema } },
} as const;

export const artifactListSchema = {
  type: "object",
  additionalProperties: false,
  required: ["attempt", "artifacts"],
  properties: {
    attempt: attemptNumber,
    artifacts: { type: "array", maxItems: 10_000, items: artifactSchema },
  },
} as const;

/** The longest piece of a log in one event. */
const PIECE_BASE64_MAX = 88_000;

export const logPieceSchema = {
  type: "object",
  description:
    "A piece of a log; the event's id is the offset after it, and when no attempt was named the attempt, -, and the offset.",
  additionalProperties: false,
  required: ["base64"],
  properties: {
    base64: {
      type: "string",
      maxLength: PIECE_BASE64_MAX,
      description: "The bytes, at most 64 KiB; a log need not be text.",
    },
  },
} as const;

/** A job in a list. */
export type JobSummary = Static<typeof jobSummarySchema>;

/** All that is known of a job. */
export type JobDetail = Static<typeof jobDetailSchema>;

/** One line of a job's history. */
export type JobEvent = Static<typeof eventSchema>;

/** One attempt of a job. */
export type AttemptView = Static<typeof attemptSchema>;

/** Why a queued job waits. */
export type Waiting = Static<typeof waitingSchema>;

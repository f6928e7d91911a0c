import type { Static } from "typebox";
import { line } from "#job/values.ts";
import { jobId, labels } from "./values.ts";
import { wireJobSchema } from "./wire-job.ts";

/** The longest time that a job may say it waits: 30 days. */
const QUEUE_LIMIT_SECONDS_MAX = 30 * 86_400;

export const submitRequestSchema = {
  type: "object",
  description:
    "A job and where it may run. Its inputs must have been uploaded by the same submitter.",
  additionalProperties: false,
  required: ["job"],
  properties: {
    job: wireJobSchema,
    name: {
      ...line,
      maxLength: 100,
      description: "For people and for filters; at most 100 characters.",
    },
    priority: {
      type: "integer",
      minimum: -100,
      maximum: 100,
      default: 0,
      description:
        "Higher goes first, -100 to 100; default 0. Among equals the older job goes first.",
    },
    labels: { ...labels, description: "Labels that a host must have, all of them; at most 32." },
    queueLimitSeconds: {
      type: "integer",
      minimum: 1,
      maximum: QUEUE_LIMIT_SECONDS_MAX,
      description:
        "End the job as timed-out when it waits longer for a host, counted each time it is queued; 1 to 2592000; default: no limit.",
    },
  },
} as const;

export const submitReplySchema = {
  type: "object",
  additionalProperties: false,
  required: ["id"],
  properties: { id: { ...jobId, description: "The job's id." } },
} as const;

/** What a submitter sends. */
export type SubmitRequest = Static<typeof submitRequestSchema>;

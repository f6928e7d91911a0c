import type { Static } from "typebox";
import { acceleration, bytes, milliseconds, sha256 } from "#job/values.ts";
import {
  artifactSchema,
  imageSchema,
  phaseTimeSchema,
  refusedSchema,
  stepSchema,
  verdictSchema,
} from "#job/verdict-schema.ts";
import { logName } from "./values.ts";

/** How an attempt or a job ended, and all that a host reports of it. */

const reportProperties = {
  durationMs: { ...milliseconds, description: "From lease to verdict, by the host's clock." },
  phases: {
    type: "array",
    maxItems: 8,
    items: phaseTimeSchema,
  },
  steps: { type: "array", maxItems: 100, items: stepSchema },
  refused: {
    type: "array",
    maxItems: 1000,
    description: "What the guest offered as an artifact and the host did not take.",
    items: refusedSchema,
  },
  logs: {
    type: "array",
    maxItems: 102,
    description: "The full length of each log.",
    items: {
      type: "object",
      additionalProperties: false,
      required: ["log", "bytes"],
      properties: { log: logName, bytes },
    },
  },
  screenshot: {
    ...sha256,
    description:
      "Of a PNG that was delivered as an artifact; of a machine that broke while it booted.",
  },
  image: imageSchema,
  acceleration,
} as const;

const reportRequired = ["durationMs", "phases", "steps", "refused", "logs"] as const;

export const attemptReportSchema = {
  type: "object",
  description: "What the host reported of an attempt that ended, besides verdict and artifacts.",
  additionalProperties: false,
  required: reportRequired,
  properties: reportProperties,
} as const;

export const verdictReportSchema = {
  type: "object",
  description:
    "How an attempt ended. Logs and artifacts that it names were delivered before, else it is refused. Sent again until it is taken: the first one counts. At most 4 MiB: whoever brings home thousands of files with long names refuses some.",
  additionalProperties: false,
  required: ["verdict", "artifacts", ...reportRequired],
  properties: {
    verdict: verdictSchema,
    artifacts: { type: "array", maxItems: 10_000, items: artifactSchema },
    ...reportProperties,
  },
} as const;

export const verdictReplySchema = {
  type: "object",
  additionalProperties: false,
  required: ["job"],
  properties: {
    job: {
      enum: ["settled", "queued"],
      description: "settled: the job is over. queued: it broke and waits for another attempt.",
    },
  },
} as const;

/** What a host says of an attempt that is over. */
export type VerdictReport = Static<typeof verdictReportSchema>;

/** How an attempt or a job ended. */
export type WireVerdict = Static<typeof verdictSchema>;

/** A file that came home, as data. */
export type WireArtifact = Static<typeof artifactSchema>;

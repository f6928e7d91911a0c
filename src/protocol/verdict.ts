import type { Static } from "typebox";
import { jobFileSchema } from "#job/job-file-schema.ts";
import {
  acceleration,
  bytes,
  imageName,
  imageVersion,
  line,
  logName,
  milliseconds,
  phase,
  prose,
  sha256,
  verdictKind,
} from "./values.ts";

/** How an attempt or a job ended, and all that a host reports of it. */

const evidenceText = { ...prose, maxLength: 16_384 } as const;

const faultSchema = {
  type: "object",
  description: "Why it broke; only with the verdict broken.",
  additionalProperties: false,
  required: ["code", "blame", "retry", "message", "evidence"],
  properties: {
    code: {
      type: "string",
      pattern: "^[a-z][a-z0-9-]{0,63}$",
      description:
        "Stable name of the fault, as the README lists them; a newer host may know more of them.",
    },
    blame: {
      enum: ["job", "image", "host", "service", "operator"],
      description: "Whose fault it is.",
    },
    retry: {
      enum: ["never", "anywhere", "elsewhere"],
      description: "Whether another attempt makes sense, and where.",
    },
    stage: { ...prose, maxLength: 200, description: "The requirement or step that broke." },
    message: { ...prose, description: "What happened, and what to try, for people." },
    evidence: {
      type: "object",
      maxProperties: 32,
      description: "What was at hand when it broke: tails of console and output, addresses.",
      propertyNames: { type: "string", maxLength: 64 },
      additionalProperties: {
        anyOf: [
          evidenceText,
          { type: "number" },
          { type: "boolean" },
          { type: "array", maxItems: 200, items: evidenceText },
        ],
      },
    },
  },
} as const;

export const verdictSchema = {
  type: "object",
  additionalProperties: false,
  required: ["kind"],
  properties: {
    kind: {
      ...verdictKind,
      description: "failed is the job's own answer; broken is not the job's steps' doing.",
    },
    why: { ...prose, description: "In words; with failed, timed-out and cancelled." },
    fault: faultSchema,
  },
} as const;

const stepSchema = {
  type: "object",
  additionalProperties: false,
  required: ["name", "outcome", "durationMs", "logBytes", "cutBytes"],
  properties: {
    name: jobFileSchema.properties.steps.items.properties.name,
    outcome: { enum: ["passed", "failed", "timed-out", "silent", "cancelled", "lost", "skipped"] },
    exitCode: { type: "integer", minimum: 0, maximum: 255 },
    signal: { type: "string", pattern: "^[A-Z0-9+]{1,16}$", description: "Without SIG." },
    durationMs: milliseconds,
    logBytes: { ...bytes, description: "Bytes of its log that came home." },
    cutBytes: { ...bytes, description: "Bytes printed after the log's limit and thrown away." },
  },
} as const;

export const artifactSchema = {
  type: "object",
  additionalProperties: false,
  required: ["path", "bytes", "sha256"],
  properties: {
    path: {
      type: "string",
      pattern: "^(?!/)(?!(.*/)?\\.{1,2}(/|$))(?!.*//)[^\\p{Cc}\\p{Cs}]{1,1024}$",
      patternErrorMessage: "must be a relative path without '.', '..' and control characters",
      description:
        "Where it lay in the guest, without the first slash. Data: never joined to a path of the service.",
    },
    bytes,
    sha256,
  },
} as const;

export const imageSchema = {
  type: "object",
  description: "The image that ran.",
  additionalProperties: false,
  required: ["name", "version", "digest"],
  properties: { name: imageName, version: imageVersion, digest: sha256 },
} as const;

const reportProperties = {
  durationMs: { ...milliseconds, description: "From lease to verdict, by the host's clock." },
  phases: {
    type: "array",
    maxItems: 8,
    items: {
      type: "object",
      additionalProperties: false,
      required: ["phase", "durationMs"],
      properties: { phase, durationMs: milliseconds },
    },
  },
  steps: { type: "array", maxItems: 100, items: stepSchema },
  refused: {
    type: "array",
    maxItems: 1000,
    description: "What the guest offered as an artifact and the host did not take.",
    items: {
      type: "object",
      additionalProperties: false,
      required: ["name", "why"],
      properties: { name: { ...prose, maxLength: 1024 }, why: line },
    },
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
    "How an attempt ended. Logs and artifacts that it names were delivered before. Sent again until it is taken: the first one counts.",
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

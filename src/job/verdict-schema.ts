import { jobFileSchema } from "./job-file-schema.ts";
import {
  bytes,
  imageName,
  imageVersion,
  line,
  milliseconds,
  phase,
  prose,
  sha256,
  verdictKind,
} from "./values.ts";

/**
 * How an attempt ended, as JSON Schema: the parts that the verdict document of `testbed run` and the reports of hosts have in
 * common. `fit-verdict.ts` makes any verdict fit.
 */

/** What evidence may hold; `characters` is of all of it together, which no schema can say. */
export const EVIDENCE = {
  textCharacters: 16_384,
  lineCharacters: 1000,
  lines: 200,
  keys: 32,
  characters: 100_000,
} as const;

const evidenceText = { ...prose, maxLength: EVIDENCE.textCharacters } as const;
const evidenceLine = { ...prose, maxLength: EVIDENCE.lineCharacters } as const;

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
      maxProperties: EVIDENCE.keys,
      description: "What was at hand when it broke: tails of console and output, addresses.",
      propertyNames: { type: "string", maxLength: 64 },
      additionalProperties: {
        anyOf: [
          evidenceText,
          { type: "number" },
          { type: "boolean" },
          { type: "array", maxItems: EVIDENCE.lines, items: evidenceLine },
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

export const stepSchema = {
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

export const phaseTimeSchema = {
  type: "object",
  additionalProperties: false,
  required: ["phase", "durationMs"],
  properties: { phase, durationMs: milliseconds },
} as const;

export const refusedSchema = {
  type: "object",
  additionalProperties: false,
  required: ["name", "why"],
  properties: { name: { ...prose, maxLength: 1024 }, why: line },
} as const;

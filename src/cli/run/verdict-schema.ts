import type { Static } from "typebox";
import { acceleration, milliseconds } from "#job/values.ts";
import {
  artifactSchema,
  imageSchema,
  phaseTimeSchema,
  refusedSchema,
  stepSchema,
  verdictSchema,
} from "#job/verdict-schema.ts";

/** The verdict document as JSON Schema 2020-12: `verdict.json`, and what `testbed run --json` prints. */
const text = { type: "string" } as const;

export const verdictDocumentSchema = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  $id: "urn:testbed:verdict",
  title: "testbed verdict",
  description: "How a job ended and all that is known about it. Durations are in milliseconds.",
  type: "object",
  additionalProperties: false,
  required: [
    "verdict",
    "job",
    "attempts",
    "startedAt",
    "durationMs",
    "phases",
    "steps",
    "artifacts",
    "refused",
    "leaks",
    "marksMs",
    "host",
    "results",
  ],
  properties: {
    verdict: {
      ...verdictSchema,
      description: "How the job ended: the verdict of its last attempt.",
    },
    job: {
      type: "object",
      additionalProperties: false,
      required: ["id", "file"],
      properties: {
        id: { ...text, description: "16 hexadecimal digits, made for this run." },
        file: { ...text, description: "The job file, as given." },
      },
    },
    attempts: {
      type: "array",
      description: "Every attempt, in order. The rest of this document is about the last one.",
      items: {
        type: "object",
        additionalProperties: false,
        required: ["verdict", "durationMs"],
        properties: { verdict: verdictSchema, durationMs: milliseconds, machine: text },
      },
    },
    startedAt: { ...text, description: "UTC, RFC 3339, by the host's clock." },
    durationMs: milliseconds,
    phases: {
      type: "array",
      description: "The phases in order, with the time spent in each.",
      items: phaseTimeSchema,
    },
    steps: { type: "array", items: stepSchema, description: "All steps of the job, in order." },
    artifacts: {
      type: "array",
      description: "Files that came home, below artifacts/.",
      items: artifactSchema,
    },
    refused: {
      type: "array",
      description: "What the guest offered as an artifact and the host did not take.",
      items: refusedSchema,
    },
    image: { ...imageSchema, description: "The image that ran; missing when none was found." },
    acceleration: {
      ...acceleration,
      description: "How the machine ran: in hardware, or emulated.",
    },
    machine: {
      type: "object",
      additionalProperties: false,
      required: ["name", "memoryMiB", "cpus"],
      properties: {
        name: text,
        memoryMiB: { type: "integer", minimum: 0 },
        cpus: { type: "integer", minimum: 0 },
      },
    },
    kept: {
      type: "object",
      description: "The machine that was left running (--keep).",
      additionalProperties: false,
      required: ["name"],
      properties: { name: text, address: text },
    },
    leaks: {
      type: "array",
      items: text,
      description: "What teardown could not remove; the next run sweeps it.",
    },
    marksMs: {
      type: "object",
      description: "Milliseconds from the start of the machine to each requirement being met.",
      additionalProperties: milliseconds,
    },
    host: {
      type: "object",
      description: "Where it ran.",
      additionalProperties: false,
      required: ["name", "kernel", "architecture", "cpus", "memoryMiB", "testbed", "node"],
      properties: {
        name: text,
        kernel: text,
        architecture: text,
        cpus: { type: "integer", minimum: 0 },
        memoryMiB: { type: "integer", minimum: 0 },
        testbed: { ...text, description: "Version of testbed." },
        node: { ...text, description: "Version of Node.js." },
      },
    },
    results: { ...text, description: "Absolute path of the results folder." },
  },
} as const;

/** The verdict document. */
export type VerdictDocument = Static<typeof verdictDocumentSchema>;

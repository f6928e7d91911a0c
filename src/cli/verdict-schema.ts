import type { Static } from "typebox";

/** The verdict document as JSON Schema 2020-12: `verdict.json`, and what `testbed run --json` prints. */
const milliseconds = { type: "integer", minimum: 0 } as const;
const bytes = { type: "integer", minimum: 0 } as const;
const text = { type: "string" } as const;

const fault = {
  type: "object",
  description: "Why it broke. Only with the verdict broken.",
  additionalProperties: false,
  required: ["code", "blame", "retry", "message", "evidence"],
  properties: {
    code: { ...text, description: "Stable name of the fault, as the README lists them." },
    blame: {
      enum: ["job", "image", "host", "service", "operator"],
      description: "Whose fault it is.",
    },
    retry: {
      enum: ["never", "anywhere", "elsewhere"],
      description: "Whether another attempt makes sense, and where.",
    },
    stage: { ...text, description: "The requirement or step that broke." },
    message: { ...text, description: "What happened, and what to try, for people." },
    evidence: {
      type: "object",
      description: "What was at hand when it broke: tails of console and output, addresses.",
    },
  },
} as const;

const verdict = {
  type: "object",
  additionalProperties: false,
  required: ["kind"],
  properties: {
    kind: {
      enum: ["passed", "failed", "timed-out", "cancelled", "broken"],
      description: "failed is the job's own answer; broken is not the job's steps' doing.",
    },
    why: { ...text, description: "In words; with failed, timed-out and cancelled." },
    fault,
  },
} as const;

const step = {
  type: "object",
  additionalProperties: false,
  required: ["name", "outcome", "durationMs", "logBytes", "cutBytes"],
  properties: {
    name: text,
    outcome: {
      enum: ["passed", "failed", "timed-out", "silent", "cancelled", "lost", "skipped"],
      description: "How the step ended; skipped: it never ran.",
    },
    exitCode: {
      type: "integer",
      minimum: 0,
      maximum: 255,
      description: "Exit status; missing when a signal ended the step or it never ended.",
    },
    signal: { ...text, description: "The signal that ended it, without SIG." },
    durationMs: milliseconds,
    logBytes: { ...bytes, description: "Bytes of its log that came home." },
    cutBytes: { ...bytes, description: "Bytes printed after the log's limit and thrown away." },
  },
} as const;

export const verdictSchema = {
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
    verdict: { ...verdict, description: "How the job ended: the verdict of its last attempt." },
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
        properties: { verdict, durationMs: milliseconds, machine: text },
      },
    },
    startedAt: { ...text, description: "UTC, RFC 3339, by the host's clock." },
    durationMs: milliseconds,
    phases: {
      type: "array",
      description: "The phases in order, with the time spent in each.",
      items: {
        type: "object",
        additionalProperties: false,
        required: ["phase", "durationMs"],
        properties: {
          phase: {
            enum: [
              "leased",
              "preparing",
              "booting",
              "connecting",
              "running",
              "collecting",
              "settled",
              "reported",
            ],
          },
          durationMs: milliseconds,
        },
      },
    },
    steps: { type: "array", items: step, description: "All steps of the job, in order." },
    artifacts: {
      type: "array",
      description: "Files that came home, below artifacts/.",
      items: {
        type: "object",
        additionalProperties: false,
        required: ["path", "bytes", "sha256"],
        properties: { path: text, bytes, sha256: text },
      },
    },
    refused: {
      type: "array",
      description: "What the guest offered as an artifact and the host did not take.",
      items: {
        type: "object",
        additionalProperties: false,
        required: ["name", "why"],
        properties: { name: text, why: text },
      },
    },
    image: {
      type: "object",
      description: "The image that ran; missing when none was found.",
      additionalProperties: false,
      required: ["name", "version", "digest"],
      properties: {
        name: text,
        version: text,
        digest: { ...text, description: "SHA-256 of the image." },
      },
    },
    acceleration: {
      enum: ["kvm", "tcg"],
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
export type VerdictDocument = Static<typeof verdictSchema>;

import { DURATION, SIZE } from "./config-schema.ts";

const age = { ...DURATION, least: "1h", most: "3650d" } as const;

/** When what a job service has kept long enough leaves: a section of its configuration. */
export const RETENTION_SECTION = {
  type: "object",
  additionalProperties: false,
  default: {},
  description: "When what is old leaves; all ages 1h to 3650d.",
  properties: {
    jobs: {
      ...age,
      default: "90d",
      description: "A settled job with its history, after its end.",
    },
    files: {
      type: "object",
      additionalProperties: false,
      default: {},
      description: "Logs and artifacts of a settled job, after its end, by its verdict.",
      properties: {
        passed: { ...age, default: "14d", description: "Of a job that passed." },
        failed: { ...age, default: "30d", description: "Of a job that failed." },
        timedOut: { ...age, default: "30d", description: "Of a job that timed out." },
        cancelled: { ...age, default: "14d", description: "Of a job that was cancelled." },
        broken: { ...age, default: "30d", description: "Of a job that broke." },
      },
    },
    size: {
      ...SIZE,
      least: "1GiB",
      most: "10000TiB",
      description:
        "Most that logs, artifacts and inputs take together, 1GiB to 10000TiB; beyond, those of the jobs that were settled first leave. Default: 80 % of the file system.",
    },
    inputs: {
      ...age,
      default: "7d",
      description: "An input that no open job names, after its last use.",
    },
    uploads: { ...age, default: "2d", description: "An upload that does not go on." },
    hosts: { ...age, default: "90d", description: "A lost host that is not drained." },
    tokens: { ...age, default: "90d", description: "A revoked token." },
  },
} as const;

import { type JobFile, jobFileSchema } from "./job-file-schema.ts";
import type { Input, JobSpec } from "./spec.ts";
import { parseDurationSeconds, parseSizeMiB } from "./units.ts";

const TIMEOUT_DEFAULT = jobFileSchema.properties.timeout.default;

/**
 * Units resolved and defaults filled in. The job has passed every check; where its inputs lie is the caller's knowledge,
 * since a file names paths and the wire names digests.
 */
export function jobSpecOf(job: Omit<JobFile, "inputs">, inputs: readonly Input[]): JobSpec {
  const { resources = {} } = job;
  const seconds = (text: string | undefined) =>
    text === undefined ? undefined : parseDurationSeconds(text);
  const mebibytes = (text: string | undefined) =>
    text === undefined ? undefined : parseSizeMiB(text);
  return {
    image: job.image,
    cpus: resources.cpus ?? 1,
    memoryMiB: mebibytes(resources.memory),
    diskMiB: mebibytes(resources.disk),
    network: job.network ?? "nat",
    timeoutSeconds: seconds(job.timeout ?? TIMEOUT_DEFAULT) ?? 3600,
    attempts: job.attempts ?? 1,
    inputs,
    env: job.env ?? {},
    steps: job.steps.map(({ name, run, when, timeout, silence }) => ({
      name,
      run,
      when: when ?? "success",
      timeoutSeconds: seconds(timeout),
      silenceSeconds: seconds(silence),
    })),
    artifacts: job.artifacts ?? [],
  };
}

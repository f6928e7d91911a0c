import type { Static } from "typebox";
import { checkJobFile } from "#job/job-file-checks.ts";
import { type JobFile, jobFileSchema } from "#job/job-file-schema.ts";
import { jobSpecOf } from "#job/job-spec-of.ts";
import type { Finding } from "#job/quantity.ts";
import type { JobSpec } from "#job/spec.ts";
import { bytes, sha256 } from "#job/values.ts";

/**
 * A job as it is submitted and leased: the job file, but for its inputs. On the wire an input is a digest only; `from:`
 * exists in the client alone and is refused here, else a job could read the files of whoever runs it. What JSON Schema
 * cannot say is in `job/job-file-checks.ts` and holds for wire jobs too.
 */
const wireInput = {
  type: "object",
  additionalProperties: false,
  required: ["sha256", "bytes", "kind", "to"],
  properties: {
    sha256: {
      ...sha256,
      description: "Digest of the content: of the file, or of the folder's tar archive.",
    },
    bytes: { ...bytes, description: "Length of that content." },
    kind: {
      enum: ["file", "folder"],
      description:
        "file: the content goes to `to`. folder: the content is a tar archive of what goes below `to`.",
    },
    mode: {
      type: "integer",
      minimum: 0,
      maximum: 0o777,
      description:
        "Permission bits of a file, 0 to 511 (octal 777); default 420 (octal 644). Not for folders.",
    },
    to: jobFileSchema.properties.inputs.items.properties.to,
  },
} as const;

export const wireJobSchema = {
  type: "object",
  description: "The job: the job file's keys, with inputs by digest.",
  additionalProperties: false,
  required: jobFileSchema.required,
  properties: {
    ...jobFileSchema.properties,
    inputs: {
      type: "array",
      maxItems: jobFileSchema.properties.inputs.maxItems,
      items: wireInput,
      description:
        "Content to send before the first step, uploaded by the same submitter; at most 100.",
    },
  },
} as const;

/** A job on the wire. */
export type WireJob = Static<typeof wireJobSchema>;

/** An input on the wire. */
export type WireInput = NonNullable<WireJob["inputs"]>[number];

/** What is wrong with a wire job that passed its schema: what is wrong with a job file, and what inputs alone can have. */
export function checkWireJob(job: WireJob): readonly Finding[] {
  const says = "is for files; a folder's archive has modes of its own";
  const ofInputs = (job.inputs ?? []).flatMap(({ kind, mode }, number) =>
    kind === "folder" && mode !== undefined
      ? [{ path: ["inputs", String(number), "mode"], says }]
      : [],
  );
  return [...checkJobFile(job), ...ofInputs];
}

/** A job file as a wire job; `inputs` are the file's own, in its order, read and digested by the caller. */
export function wireJobOf(file: JobFile, inputs: readonly WireInput[]): WireJob {
  const { inputs: _, ...rest } = file;
  return inputs.length === 0 ? rest : { ...rest, inputs: [...inputs] };
}

/** A checked wire job with units resolved and defaults filled in; `pathOf` says where an input's content lies here. */
export function specOfWireJob(job: WireJob, pathOf: (input: WireInput) => string): JobSpec {
  const inputs = (job.inputs ?? []).map((input) => ({
    from: pathOf(input),
    to: input.to,
    ...(input.kind === "folder" ? { isArchive: true } : {}),
  }));
  return jobSpecOf(job, inputs);
}

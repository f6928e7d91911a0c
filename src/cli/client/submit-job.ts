import type { JobFile } from "#job/job-file-schema.ts";
import { compileSchema } from "#lib/validate.ts";
import { Refused } from "#protocol/refused.ts";
import type { SubmitRequest } from "#protocol/submit.ts";
import { jobId } from "#protocol/values.ts";
import { wireJobOf } from "#protocol/wire-job.ts";
import type { DigestedInput } from "./digest-inputs.ts";
import type { Follower } from "./follow.ts";
import { ForeignAnswer } from "./service-error.ts";
import { uploadInput } from "./upload-input.ts";

/** A job and everything around it. */
export type SubmitOrder = {
  readonly file: JobFile;
  readonly inputs: readonly DigestedInput[];
  /** Name, priority, labels, limit. */
  readonly more: Omit<SubmitRequest, "job">;
  /** The same key never makes two jobs. */
  readonly key: string;
};

/** Hears how it goes. */
export type SubmitTeller = {
  /** So many bytes of the input are there. */
  onUpload(input: DigestedInput, haveBytes: number): void;
  /** All inputs are there, and the job is about to be sent. */
  onSubmit(): void;
};

const checkId = compileSchema(jobId);

/** Times that inputs are uploaded: a service may have thrown some away between the upload and the submit. */
const ROUNDS_MAX = 3;

/** Uploads what the service lacks, then submits, once whatever breaks. Returns the job's id. */
export async function submitJob(
  submitter: Follower,
  { file, inputs, more, key }: SubmitOrder,
  teller: SubmitTeller,
): Promise<string> {
  const { client, patience, signal } = submitter;
  const json = {
    ...more,
    job: wireJobOf(
      file,
      inputs.map(({ wire }) => wire),
    ),
  };
  const distinct = [...new Map(inputs.map((input) => [input.wire.sha256, input])).values()];
  for (let round = 1; ; round += 1) {
    for (const input of distinct)
      await uploadInput(submitter, input, (bytes) => teller.onUpload(input, bytes));
    teller.onSubmit();
    try {
      const headers = { "idempotency-key": key };
      const made = await patience.until(() => client.json("submitJob", { json, headers, signal }));
      if (made !== undefined && checkId(made.id).length === 0) return made.id;
      throw new ForeignAnswer("the service took the job and did not say which it is");
    } catch (error) {
      const isMissing = error instanceof Refused && error.slug === "inputs-missing";
      if (!isMissing || round === ROUNDS_MAX) throw error;
    }
  }
}

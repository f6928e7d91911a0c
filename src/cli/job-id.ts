import { InvalidArgumentError } from "commander";
import { compileSchema } from "#lib/validate.ts";
import { jobId } from "#protocol/values.ts";

/** A job's id on the command line. */
export function parseJobId(text: string): string {
  if (compileSchema(jobId)(text).length === 0) return text;
  throw new InvalidArgumentError("A job's id is 16 hexadecimal digits; 'testbed jobs' lists them.");
}

/** Several of them. */
export function parseJobIds(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, parseJobId(text)];
}

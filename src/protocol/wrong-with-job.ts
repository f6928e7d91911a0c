import { compileSchema } from "#lib/validate.ts";
import { checkWireJob, type WireJob, wireJobSchema } from "./wire-job.ts";

const violations = compileSchema(wireJobSchema, "first");

/** What is wrong with a job that came over the wire, in words; undefined when all is well. A newer sender may know more than we do. */
export function wrongWithJob(job: WireJob): string | undefined {
  const [violation] = violations(job);
  if (violation !== undefined) return `${violation.path.join(".")}: ${violation.says.join(", ")}`;
  const [finding] = checkWireJob(job);
  return finding === undefined ? undefined : `${finding.path.join(".")} ${finding.says}`;
}

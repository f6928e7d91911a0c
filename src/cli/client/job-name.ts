import { basename, extname } from "node:path";
import { compileSchema } from "#lib/validate.ts";
import { submitRequestSchema } from "#protocol/submit.ts";

/** The name of a job that was given none: its file's, without the extension; undefined when that is no name. */
export function jobNameOf(file: string): string | undefined {
  const name = basename(file, extname(file));
  return compileSchema(submitRequestSchema.properties.name)(name).length === 0 ? name : undefined;
}

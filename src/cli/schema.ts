import { Argument, Command } from "commander";
import { jobFileSchema } from "#job/job-file-schema.ts";
import { printAnswer } from "./print-answer.ts";
import { verdictSchema } from "./verdict-schema.ts";

const SCHEMAS = { job: jobFileSchema, verdict: verdictSchema } as const;

const HELP_AFTER = `
Both are JSON Schema 2020-12. An editor with YAML support completes and checks job files
with it: save the schema, and begin the job file with

  # yaml-language-server: $schema=job.schema.json

Examples:
  $ testbed schema job > job.schema.json
  $ testbed schema verdict
`;

/** `testbed schema job|verdict`. */
export function schemaCommand(): Command {
  return new Command("schema")
    .summary("print the JSON Schema of the job file or of the verdict")
    .description("Prints the JSON Schema of the job file, or of verdict.json, on standard output.")
    .addArgument(new Argument("<which>", "which schema").choices(Object.keys(SCHEMAS)))
    .addHelpText("after", HELP_AFTER)
    .action(async (which: keyof typeof SCHEMAS) => {
      await printAnswer(`${JSON.stringify(SCHEMAS[which], null, 2)}\n`);
    });
}

import { Argument, Command } from "commander";
import { verdictDocumentSchema } from "#cli/run/verdict-schema.ts";
import { clientFileSchema } from "#config/client-file.ts";
import { imagesConfigSchema } from "#config/images-config.ts";
import { serviceConfigSchema } from "#config/service-config.ts";
import { catalogueSchema } from "#host/images/catalogue/document-schema.ts";
import { jobFileSchema } from "#job/job-file-schema.ts";
import { errorSchema } from "./error-schema.ts";
import { printAnswer } from "./print-answer.ts";

const SCHEMAS = {
  job: jobFileSchema,
  verdict: verdictDocumentSchema,
  error: errorSchema,
  service: serviceConfigSchema,
  client: clientFileSchema,
  images: imagesConfigSchema,
  catalogue: catalogueSchema,
} as const;

const HELP_AFTER = `
job        the job file
verdict    verdict.json, which is also what 'testbed run --json' prints
error      what any command with --json prints when it has no answer
service    the job service's configuration file
client     ~/.config/testbed/config.yaml
images     /etc/testbed/images.yaml
catalogue  catalogue.json, a signed catalogue of images

All are JSON Schema 2020-12. An editor with YAML support completes and checks job files
with the first: save the schema, and begin the job file with

  # yaml-language-server: $schema=job.schema.json

Examples:
  $ testbed schema job > job.schema.json
  $ testbed schema verdict
  $ testbed schema error
`;

/** `testbed schema job|verdict|error|service|client|images|catalogue`. */
export function schemaCommand(): Command {
  return new Command("schema")
    .summary("print the JSON Schema of a file or an answer")
    .description("Prints a JSON Schema on standard output.")
    .addArgument(new Argument("<which>", "which schema").choices(Object.keys(SCHEMAS)))
    .addHelpText("after", HELP_AFTER)
    .action(async (which: keyof typeof SCHEMAS) => {
      await printAnswer(`${JSON.stringify(SCHEMAS[which], null, 2)}\n`);
    });
}

import { type Command, Option } from "commander";

/** What every command says that asks a job service. */
export const SERVICE_HELP = `
Which service: --service or --context, else TESTBED_SERVICE or TESTBED_CONTEXT,
else the current context of ~/.config/testbed/config.yaml, else the service of
this machine. The token comes from the context's tokenFile, TESTBED_TOKEN_FILE
or TESTBED_TOKEN.
`;

/** Adds the options that say which service to ask. */
export function withServiceOptions(command: Command): Command {
  return command
    .addOption(new Option("--service <url>", "the job service: https://HOST:PORT or unix:/PATH"))
    .addOption(new Option("--context <name>", "a context of ~/.config/testbed/config.yaml"));
}

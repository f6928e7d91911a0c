import { Argument, Command } from "commander";
import { daemonFindings } from "#cli/daemon/daemon-findings.ts";
import { clientFileSchema } from "#config/client-file.ts";
import { readConfigFile } from "#config/config-file.ts";
import { configData } from "#config/config-value.ts";
import { daemonConfigSchema } from "#config/daemon-config.ts";
import { imagesConfigSchema } from "#config/images-config.ts";
import { checkServiceConfig, serviceConfigSchema } from "#config/service-config.ts";
import { yamlText } from "#lib/yaml-text.ts";
import { imagesFindings } from "./image/images-findings.ts";
import { printAnswer } from "./print-answer.ts";

/** Reads a configuration file of each kind, and returns it as plain data with all defaults. Throws `ConfigError`. */
const KINDS = {
  client: async (file: string) =>
    configData(clientFileSchema, await readConfigFile(file, clientFileSchema)),
  daemon: async (file: string) => {
    const config = await readConfigFile(file, daemonConfigSchema, daemonFindings);
    return configData(daemonConfigSchema, config);
  },
  images: async (file: string) => {
    const config = await readConfigFile(file, imagesConfigSchema, imagesFindings);
    return configData(imagesConfigSchema, config);
  },
  service: async (file: string) => {
    const config = await readConfigFile(file, serviceConfigSchema, checkServiceConfig);
    return configData(serviceConfigSchema, config);
  },
} as const satisfies Record<string, (file: string) => Promise<unknown>>;

const HELP_AFTER = `
Prints what holds: the file with every default filled in. Secrets are in no configuration
file, and none is read: whether the files that it names are there shows at the start.

Exit status: 0 the file is right, 2 it is not; then everything wrong is on standard error,
each with its line, column and key.

Examples:
  $ testbed check-config service /etc/testbed/service.yaml
  $ testbed check-config service config/service.yaml --json
`;

/** `testbed check-config KIND FILE`. */
export function checkConfigCommand(): Command {
  return new Command("check-config")
    .summary("say what is wrong with a configuration file, and what holds")
    .description("Checks a configuration file and prints what holds, defaults included.")
    .addArgument(new Argument("<kind>", "whose file it is").choices(Object.keys(KINDS)))
    .argument("<file>", "the file")
    .option("--json", "print one JSON object")
    .addHelpText("after", HELP_AFTER)
    .action(async (kind: keyof typeof KINDS, file: string, { json }: { json?: true }) => {
      const data = await KINDS[kind](file);
      await printAnswer(json === true ? `${JSON.stringify(data, null, 2)}\n` : yamlText(data));
    });
}

import { Command } from "commander";
import { openService } from "#cli/service/open-service.ts";
import { backupCommand } from "#cli/service/service-backup.ts";
import { readServiceSettings, type ServiceOptions } from "#cli/service/service-settings.ts";
import { stay } from "#cli/stay.ts";

const HELP_AFTER = `
Keeps jobs, leases, hosts and tokens in the state folder, with their logs, inputs and
artifacts. It always listens on DIR/service.sock (mode 0660) as well. SIGTERM stops it
within 10 seconds; nothing that it acknowledged is lost.

Without TLS it listens on loopback addresses and Unix sockets only, unless --plain-http
says that the network between is trusted. Options win over the configuration file;
config/service.yaml explains every key.

Examples:
  $ testbed service --state /srv/jobs
  $ testbed service --config /etc/testbed/service.yaml
  $ testbed service --listen 127.0.0.1:8420 --listen '[::1]:8420'
  $ testbed service --listen '[2001:db8::7]:443' --tls-cert chain.pem --tls-key key.pem
  $ testbed token create ada --role submitter --state /srv/jobs > ada.token
`;

/** `testbed service`. */
export function serviceCommand(version: string): Command {
  return new Command("service")
    .summary("run the job service")
    .description("Runs the central job service: people submit jobs to it, hosts lease them.")
    .option("--config <file>", "configuration file (default: none, all defaults)")
    .option("--state <dir>", "the service's folder (default: service in the state folder)")
    .option("--listen <address...>", "where to listen, too (default: 127.0.0.1:8420)")
    .option("--tls-cert <file>", "certificate chain, PEM")
    .option("--tls-key <file>", "its key, PEM")
    .option("--plain-http", "allow HTTP without TLS beyond this machine")
    .addHelpText("after", HELP_AFTER)
    .addCommand(backupCommand())
    .action(async (options: ServiceOptions) => {
      await serve(options, version);
    });
}

async function serve(options: ServiceOptions, version: string): Promise<void> {
  const settings = await readServiceSettings(options);
  await stay({ level: settings.logLevel, version }, async ({ log, scope }) => {
    log.info("opening", { state: settings.folder });
    const { answers } = await openService(settings, version, { log, scope });
    return { status: async () => `serving, state in ${settings.folder}`, answers };
  });
}

import { Command } from "commander";
import { readDaemonSettings } from "#cli/daemon/daemon-settings.ts";
import { openDaemon } from "#cli/daemon/open-daemon.ts";
import { stay } from "#cli/stay.ts";

const HELP_AFTER = `
Asks the job service for work, runs each job in a machine of its own, and brings logs,
artifacts and verdicts to the service. What the service does not take now it gets later: it
may be away for as long as it likes.

SIGTERM stops it within 10 seconds, and leaves machines running. 'testbed host drain' lets
jobs end first; 'testbed host status' says what it does. config/daemon.yaml explains every
key; without a file the daemon has a job service of its own inside: a whole lab.

Examples:
  $ testbed daemon --config /etc/testbed/daemon.yaml
  $ testbed check-config daemon /etc/testbed/daemon.yaml
  $ testbed daemon
`;

/** `testbed daemon`. */
export function daemonCommand(version: string): Command {
  return new Command("daemon")
    .summary("run this host: take jobs from the job service")
    .description("Runs a testbed host: takes jobs from the job service and runs them in machines.")
    .option("--config <file>", "configuration file (default: none, all defaults)")
    .addHelpText("after", HELP_AFTER)
    .action(async ({ config }: { config?: string }) => {
      const settings = await readDaemonSettings(config);
      const { level } = settings.config.log;
      await stay({ level, version }, (household) => openDaemon(settings, version, household));
      // Machines that run are left to the next daemon; their attempts here would wait for them for ever.
      process.exit(0);
    });
}

import { Argument, Command, InvalidArgumentError, Option } from "commander";
import { showLogs } from "#cli/client/show-logs.ts";
import { parseAttempt, parseJobId } from "#cli/options/arguments.ts";
import { SERVICE_HELP, withServiceOptions } from "#cli/options/service-options.ts";
import { readConfig } from "#config/config.ts";
import type { AccessWishes } from "#config/contexts.ts";
import { compileSchema } from "#lib/validate.ts";
import { logName } from "#protocol/values.ts";

const HELP_AFTER = `
Prints a log of a job: byte for byte into a file or a pipe, made harmless on a
terminal.

  output    the whole attempt, as 'testbed run' prints it (the default)
  console   the machine's serial console
  step-1    what the first step printed, step-2 the second, and so on

With -f it goes on as the log grows, from one attempt to the next, until the
job is over; a service that restarts and a network that is dead for minutes are
waited for. Ctrl-C ends the following, never the job. The exit status says
nothing of the job's verdict. With --json: {"job", "log", "attempt", "bytes",
"base64"}, since a log need not be text.
${SERVICE_HELP}
Examples:
  $ testbed logs 0123456789abcdef
  $ testbed logs -f 0123456789abcdef
  $ testbed logs --log console --attempt 1 0123456789abcdef > console.log
`;

type Options = AccessWishes & {
  readonly follow?: boolean;
  readonly attempt?: number;
  readonly log: string;
  readonly json?: boolean;
};

/** `testbed logs ID`. */
export function logsCommand(): Command {
  const command = new Command("logs")
    .summary("print or follow a job's log")
    .description("Prints a job's log, or follows it.")
    .addArgument(new Argument("<id>", "the job ('testbed jobs' lists them)").argParser(parseJobId))
    .option("-f, --follow", "go on as it grows, until the job is over")
    .addOption(
      new Option("--attempt <n>", "of this attempt (default: the last; with -f: all)").argParser(
        parseAttempt,
      ),
    )
    .addOption(new Option("--log <name>", "which log").argParser(log).default("output"))
    .addOption(
      new Option("--json", "print it as one JSON object, at most 64 MiB").conflicts("follow"),
    );
  return withServiceOptions(command)
    .addHelpText("after", HELP_AFTER)
    .action(
      async (job: string, { follow, json, attempt: number, log: name, ...wishes }: Options) => {
        const order = {
          job,
          log: name,
          attempt: number,
          follow: follow ?? false,
          json: json ?? false,
        };
        process.exitCode = await showLogs(order, wishes, readConfig());
      },
    );
}

function log(text: string): string {
  if (compileSchema(logName)(text).length === 0) return text;
  throw new InvalidArgumentError("It must be output, console or step-<number>, such as step-1.");
}

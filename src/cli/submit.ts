import { randomUUID } from "node:crypto";
import { Command, InvalidArgumentError, Option } from "commander";
import { jobNameOf } from "#cli/client/job-name.ts";
import { submitFile } from "#cli/client/submit-file.ts";
import { parseWhole } from "#cli/options/arguments.ts";
import {
  type OverrideOptions,
  overridesOf,
  withOverrideOptions,
} from "#cli/options/override-options.ts";
import { SERVICE_HELP, withServiceOptions } from "#cli/options/service-options.ts";
import { readConfig } from "#config/config.ts";
import type { AccessWishes } from "#config/contexts.ts";
import type { Override } from "#job/job-file-overrides.ts";
import { parseDurationSeconds } from "#job/units.ts";
import { compileSchema } from "#lib/validate.ts";
import { type SubmitRequest, submitRequestSchema } from "#protocol/submit.ts";
import { UsageError } from "./exit-code.ts";

const HELP_AFTER = `
Uploads the job's inputs as far as the service lacks them, queues the job and
prints its id. Repeated after whatever went wrong, with the same --key, it
gives the same job.

With --watch it shows why the job waits, who runs it and what it prints, until
it is over; a service that restarts and a network that is dead for minutes are
waited for. Ctrl-C leaves the job to itself, says how to go on, and exits with
130; with --cancel-on-interrupt it cancels the job and waits for its end, and a
second one leaves.

With --json standard output gets one object: {"id"}, or with --watch all about
the job when it is over, as 'testbed job --json' prints it without events.

Exit status: 0 queued, 2 the job file or the command line is wrong, 3 the
service cannot be asked, 130 interrupted; with --watch that of 'testbed run': 0
passed, 1 failed, 2 wrong, 3 broken, 4 timed out, 130 cancelled.
${SERVICE_HELP}
Examples:
  $ testbed submit job.yaml
  $ testbed submit --watch --set env.VERBOSE=1 job.yaml
  $ testbed submit --requires arch=arm64 --priority 10 --queue-limit 2h job.yaml
  $ id=$(testbed submit --key "$CI_JOB_ID" job.yaml)
`;

type Options = OverrideOptions &
  AccessWishes & {
    readonly watch?: boolean;
    readonly cancelOnInterrupt?: boolean;
    readonly json?: boolean;
    readonly name?: string;
    readonly priority?: number;
    readonly requires: readonly string[];
    readonly queueLimit?: number;
    readonly attempts?: string;
    readonly key?: string;
  };

/** `testbed submit JOB`. */
export function submitCommand(): Command {
  const command = new Command("submit")
    .summary("submit a job to the job service")
    .description("Submits a job to the job service.")
    .argument("<job>", "job file, YAML or JSON ('testbed schema job' says what is in it)")
    .option("--watch", "follow the job to its end; exit with the status of 'testbed run'")
    .option("--cancel-on-interrupt", "with --watch: Ctrl-C and SIGTERM cancel the job")
    .option("--json", "print one JSON object on standard output");
  withOverrideOptions(command)
    .option("--attempts <n>", "how often the job may be tried, whatever the job file says")
    .option("--name <text>", "the job's name, for people and filters (default: the file's)")
    .addOption(
      new Option("--priority <n>", "-100 to 100, higher goes first (default: 0)").argParser(
        parseWhole,
      ),
    )
    .addOption(
      new Option("--requires <label>", "a label that the host must have; may be given again")
        .argParser((label, before: readonly string[]) => [...before, label])
        .default([], "none"),
    )
    .addOption(
      new Option("--queue-limit <time>", "give up when it waits so long for a host, such as 2h") //
        .argParser(seconds),
    )
    .option("--key <text>", "idempotency key: the same one never makes two jobs");
  return withServiceOptions(command)
    .addHelpText("after", HELP_AFTER)
    .action(async (file: string, options: Options) => {
      const { service, context } = options;
      process.exitCode = await submitFile(
        {
          file,
          overrides: [...overridesOf(options), ...attempts(options.attempts)],
          more: requestOf(file, options),
          key: keyOf(options),
          wishes: { ...(service && { service }), ...(context && { context }) },
          watch: options.watch ?? false,
          cancelOnInterrupt: options.cancelOnInterrupt ?? false,
          json: options.json ?? false,
        },
        readConfig(),
      );
    });
}

const OPTIONS = {
  name: "--name",
  priority: "--priority",
  labels: "--requires",
  queueLimitSeconds: "--queue-limit",
} as const satisfies Record<keyof Omit<SubmitRequest, "job">, string>;

function requestOf(
  file: string,
  { name = jobNameOf(file), priority, requires, queueLimit }: Options,
): Omit<SubmitRequest, "job"> {
  const request = {
    ...(name === undefined ? {} : { name }),
    ...(priority === undefined ? {} : { priority }),
    ...(requires.length === 0 ? {} : { labels: [...requires] }),
    ...(queueLimit === undefined ? {} : { queueLimitSeconds: queueLimit }),
  };
  const { job: _, ...properties } = submitRequestSchema.properties;
  const [wrong] = compileSchema({ ...submitRequestSchema, required: [], properties })(request);
  if (wrong === undefined) return request;
  const option = OPTIONS[wrong.path[0] as keyof typeof OPTIONS];
  throw new UsageError(`${option} ${wrong.says.join("; ")}`);
}

function keyOf({ key = randomUUID() }: Options): string {
  if (/^[!-~]{1,128}$/.test(key)) return key;
  throw new UsageError("--key must be 1 to 128 printable ASCII characters without spaces");
}

function attempts(value: string | undefined): readonly Override[] {
  return value === undefined ? [] : [{ option: `--attempts ${value}`, path: ["attempts"], value }];
}

function seconds(text: string): number {
  const parsed = parseDurationSeconds(text);
  if (parsed === undefined)
    throw new InvalidArgumentError("It must be a whole number and s, m, h or d, such as 2h.");
  return parsed;
}

import { Command, Option } from "commander";
import {
  type OverrideOptions,
  overridesOf,
  withOverrideOptions,
} from "#cli/options/override-options.ts";
import { runJobFile } from "#cli/run/run-job-file.ts";
import { type Config, readConfig } from "#config/config.ts";

const HELP_AFTER = `
Boots a clean machine on this host, sends the job's inputs, runs its steps, brings logs
and artifacts home, and throws the machine away. A shipped image that is not built yet
is built first.

Results go to results/<job file>-<time>-<id>/ or to DIR:
  verdict.json         how it went: see 'testbed schema verdict'
  steps/01-name.log    each step's output, byte for byte
  console.log          the machine's serial console
  artifacts/           what the job asked to bring home

Lines that begin with '==>' are testbed's own, lines that begin with '|' the guest's.
Ctrl-C cancels and takes the machine down; a second one leaves at once.

With --json standard output gets one object: verdict.json, or, when nothing was started,
  {"error": {"exitCode", "message", "problems"}}   see 'testbed schema error'

Exit status: 0 passed, 1 failed, 2 the job file or the command line is wrong,
3 broken (no fault of the job's steps), 4 timed out, 130 cancelled.

Examples:
  $ testbed run job.yaml
  $ testbed run --image debian-12 job.yaml
  $ testbed run --set timeout=5m --set env.VERBOSE=1 --set resources.memory=2GiB job.yaml
  $ testbed run --set "steps.0.run=make check" --results /tmp/out job.yaml
  $ testbed run --json job.yaml | jq .verdict.kind
  $ testbed run --keep job.yaml          then: testbed ssh NAME, testbed destroy NAME
`;

type Options = OverrideOptions & {
  readonly results?: string;
  readonly keep?: boolean;
  readonly json?: boolean;
  readonly accel?: Config["acceleration"];
};

/** `testbed run JOB`. `version` goes into the verdict. */
export function runCommand(version: string): Command {
  const command = new Command("run")
    .summary("run a job in a clean machine on this host")
    .description("Runs a job in a clean virtual machine on this host.")
    .argument("<job>", "job file, YAML or JSON ('testbed schema job' says what is in it)");
  return withOverrideOptions(command)
    .option("--results <dir>", "folder for the results; empty or not there yet")
    .option("--keep", "leave the machine running, and say how to enter and how to destroy it")
    .option("--json", "print the verdict as one JSON object on standard output")
    .addOption(
      new Option(
        "--accel <how>",
        "how the machine runs, instead of what TESTBED_ACCEL says",
      ).choices(["auto", "kvm", "tcg"]),
    )
    .addHelpText("after", HELP_AFTER)
    .action(async (file: string, options: Options) => {
      process.exitCode = await runJobFile(
        {
          file,
          overrides: overridesOf(options),
          results: options.results,
          keep: options.keep ?? false,
          json: options.json ?? false,
          acceleration: options.accel,
          version,
        },
        readConfig(),
        async (config) => await (await import("#cli/run/open-host.ts")).openHost(config),
      );
    });
}

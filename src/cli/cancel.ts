import { Argument, Command, Option } from "commander";
import { ask } from "#cli/client/ask.ts";
import { withService } from "#cli/client/service.ts";
import { stateInWords } from "#cli/client/state-words.ts";
import { parseJobIds, parseLine } from "#cli/options/arguments.ts";
import { SERVICE_HELP, withServiceOptions } from "#cli/options/service-options.ts";
import type { AccessWishes } from "#config/contexts.ts";
import { printable } from "#lib/printable.ts";
import type { JobDetail } from "#protocol/job-view.ts";
import { printAnswer } from "./print-answer.ts";

const HELP_AFTER = `
A queued job is over at once. Of one that runs, its host takes the machine
down, keeps what there is of logs and artifacts, and reports; 'testbed logs -f'
shows how. Twice is safe, and a job that is over stays as it is. With --json:
{"jobs"}.
${SERVICE_HELP}
Examples:
  $ testbed cancel 0123456789abcdef
  $ testbed cancel --why "wrong branch" 0123456789abcdef fedcba9876543210
  $ testbed jobs --json | jq -r ".jobs[].id" | xargs testbed cancel
`;

type Options = AccessWishes & { readonly why?: string; readonly json?: boolean };

/** `testbed cancel ID...`. */
export function cancelCommand(): Command {
  const command = new Command("cancel")
    .summary("cancel jobs")
    .description("Cancels jobs.")
    .addArgument(
      new Argument("<ids...>", "the jobs ('testbed jobs' lists them)").argParser(parseJobIds),
    )
    .addOption(
      new Option("--why <text>", "for people (default: who cancelled it)").argParser(parseLine),
    )
    .option("--json", "print the jobs as JSON");
  return withServiceOptions(command)
    .addHelpText("after", HELP_AFTER)
    .action(async (ids: readonly string[], { why, json: wantsJson, ...wishes }: Options) => {
      const body = why === undefined ? {} : { why };
      const jobs: JobDetail[] = [];
      await withService(wishes, async (service) => {
        for (const job of ids) {
          const detail = await ask(service, "cancelJob", { path: { job }, json: body });
          jobs.push(detail);
          if (!wantsJson) await printAnswer(`${job}  ${whatNow(detail)}\n`);
        }
      });
      if (wantsJson) await printAnswer(`${JSON.stringify({ jobs }, null, 2)}\n`);
    });
}

function whatNow(job: JobDetail): string {
  if (job.state !== "settled") return `its host ${printable(job.host ?? "")} is told to end it`;
  return job.verdict === "cancelled"
    ? "is cancelled"
    : `was over already: ${printable(stateInWords(job))}`;
}

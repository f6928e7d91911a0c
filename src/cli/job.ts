import { Argument, Command } from "commander";
import { ask } from "#cli/client/ask.ts";
import { terminalWidth } from "#cli/client/columns.ts";
import { jobInWords } from "#cli/client/job-in-words.ts";
import { type Service, withService } from "#cli/client/service.ts";
import { parseJobId } from "#cli/options/arguments.ts";
import { SERVICE_HELP, withServiceOptions } from "#cli/options/service-options.ts";
import type { AccessWishes } from "#config/contexts.ts";
import type { JobEvent } from "#protocol/job-view.ts";
import { printAnswer } from "./print-answer.ts";

const HELP_AFTER = `
What it is and where, why it waits, each attempt with its steps, how it ended
and whose fault that is, and its history. With --json one object: the job, and
its "events".
${SERVICE_HELP}
Examples:
  $ testbed job 0123456789abcdef
  $ testbed job 0123456789abcdef --json | jq -r '.waiting.says'
`;

type Options = AccessWishes & { readonly json?: boolean };

/** `testbed job ID`. */
export function jobCommand(): Command {
  const command = new Command("job")
    .summary("tell all about a job")
    .description("Tells all that the job service knows of a job.")
    .addArgument(new Argument("<id>", "the job ('testbed jobs' lists them)").argParser(parseJobId))
    .option("--json", "print it as one JSON object");
  return withServiceOptions(command)
    .addHelpText("after", HELP_AFTER)
    .action(async (id: string, { json, ...wishes }: Options) => {
      const { job, events } = await withService(wishes, async (service) => ({
        job: await ask(service, "showJob", { path: { job: id } }),
        events: await allEvents(service, id),
      }));
      await printAnswer(
        json
          ? `${JSON.stringify({ ...job, events }, null, 2)}\n`
          : jobInWords(job, events, terminalWidth()),
      );
    });
}

/** A page has 1,000; a job that is tried twenty times has some hundred. */
async function allEvents(service: Service, job: string): Promise<readonly JobEvent[]> {
  const events: JobEvent[] = [];
  for (;;) {
    const after = events.at(-1)?.number ?? 0;
    const page = await ask(service, "listEvents", { path: { job }, query: { after } });
    events.push(...page.events);
    if (page.events.length === 0 || (page.events.at(-1)?.number ?? 0) <= after) return events;
  }
}

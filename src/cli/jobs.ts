import { Command, Option } from "commander";
import { ageOf } from "#cli/client/ages.ts";
import { askService } from "#cli/client/ask.ts";
import { type Column, tableOf, terminalWidth } from "#cli/client/columns.ts";
import { stateInWords } from "#cli/client/state-words.ts";
import { parseWhole } from "#cli/options/arguments.ts";
import { SERVICE_HELP, withServiceOptions } from "#cli/options/service-options.ts";
import type { AccessWishes } from "#config/contexts.ts";
import { verdictKind } from "#job/values.ts";
import { printable } from "#lib/printable.ts";
import { compileSchema } from "#lib/validate.ts";
import { JOB_ROUTES } from "#protocol/job-routes.ts";
import { type JobSummary, jobState } from "#protocol/job-view.ts";
import { UsageError } from "./exit-code.ts";
import { printAnswer } from "./print-answer.ts";

const HELP_AFTER = `
Newest first, a page at a time; the last line says how to see the next one. A
submitter sees its own jobs, an admin or viewer everybody's. With --json:
{"jobs", "next"}.
${SERVICE_HELP}
Examples:
  $ testbed jobs
  $ testbed jobs --state queued
  $ testbed jobs --verdict broken --limit 10
  $ testbed jobs --json | jq -r '.jobs[].id'
`;

const QUERY = JOB_ROUTES.listJobs.parameters.query;

type Filters = {
  readonly state?: JobSummary["state"];
  readonly verdict?: NonNullable<JobSummary["verdict"]>;
  readonly owner?: string;
  readonly name?: string;
  readonly image?: string;
  readonly limit?: number;
  readonly cursor?: string;
};

type Options = Filters & AccessWishes & { readonly json?: boolean };

/** `testbed jobs`. */
export function jobsCommand(): Command {
  const command = new Command("jobs")
    .summary("list jobs")
    .description("Lists jobs of the job service.")
    .addOption(new Option("--state <state>", "only these").choices(jobState.enum))
    .addOption(new Option("--verdict <verdict>", "only these").choices(verdictKind.enum))
    .option("--owner <name>", "only this one's jobs")
    .option("--name <text>", "only jobs of this whole name")
    .option("--image <name>", "only jobs for this image, whatever the version")
    .addOption(
      new Option("--limit <n>", "jobs on a page, 1 to 500 (default: 50)").argParser(parseWhole),
    )
    .option("--cursor <cursor>", "the page that an earlier one named")
    .option("--json", "print the list as JSON");
  return withServiceOptions(command)
    .addHelpText("after", HELP_AFTER)
    .action(async ({ service, context, json, ...filters }: Options) => {
      const [wrong] = compileSchema(QUERY)(filters);
      if (wrong !== undefined) throw new UsageError(`--${wrong.path[0]} ${wrong.says.join("; ")}`);
      const wishes = { ...(service && { service }), ...(context && { context }) };
      const page = await askService(wishes, "listJobs", { query: filters });
      if (json) return await printAnswer(`${JSON.stringify(page, null, 2)}\n`);
      const more =
        page.next === undefined ? "" : `more: ${printable(commandFor(filters, page.next), 1000)}\n`;
      await printAnswer(`${table(page.jobs)}${more}`);
    });
}

/** The same command for the next page; a filter with spaces is quoted for a POSIX shell. */
function commandFor({ cursor: _, ...filters }: Filters, next: string): string {
  const given = Object.entries({ ...filters, cursor: next });
  const words = given.map(([key, value]) => `--${key} ${shellWord(String(value))}`);
  return `testbed jobs ${words.join(" ")}`;
}

function shellWord(text: string): string {
  return /^[\w.@:=-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

const COLUMNS: readonly Column<JobSummary>[] = [
  { head: "ID", cell: ({ id }) => id },
  { head: "NAME", cell: ({ name }) => name ?? "-", least: 8 },
  { head: "STATE", cell: stateInWords },
  { head: "HOST", cell: ({ host }) => host ?? "-", least: 8 },
  { head: "IMAGE", cell: ({ image }) => image, least: 8 },
  { head: "OWNER", cell: ({ owner }) => owner, least: 6 },
  { head: "AGE", cell: ({ submittedAt }) => ageOf(submittedAt), isRight: true },
];

function table(jobs: readonly JobSummary[]): string {
  return jobs.length === 0 ? "There are no such jobs.\n" : tableOf(COLUMNS, jobs, terminalWidth());
}

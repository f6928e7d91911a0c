import { resolve } from "node:path";
import { Argument, Command, Option } from "commander";
import { askService } from "#cli/client/ask.ts";
import { type Column, tableOf, terminalWidth } from "#cli/client/columns.ts";
import { saveArtifacts } from "#cli/client/save-artifacts.ts";
import { parseAttempt, parseJobId } from "#cli/options/arguments.ts";
import { SERVICE_HELP, withServiceOptions } from "#cli/options/service-options.ts";
import { readConfig } from "#config/config.ts";
import type { AccessWishes } from "#config/contexts.ts";
import { bytesInWords } from "#lib/words.ts";
import type { WireArtifact } from "#protocol/verdict.ts";
import { printAnswer } from "./print-answer.ts";

const HELP_AFTER = `
Lists what an attempt brought home, or fetches it. With --to each artifact goes
to DIR/PATH, whole and with its digest or not at all. What is there already is
not fetched again, and an interrupted download goes on where it ended; nothing
is overwritten without --force. With --json: {"attempt", "artifacts"}, each
with path, bytes and sha256, and with --to its state, "fetched" or "there",
beside the "folder".
${SERVICE_HELP}
Examples:
  $ testbed artifacts 0123456789abcdef
  $ testbed artifacts 0123456789abcdef --to out
`;

type Options = AccessWishes & {
  readonly to?: string;
  readonly force?: boolean;
  readonly attempt?: number;
  readonly json?: boolean;
};

/** `testbed artifacts ID`. */
export function artifactsCommand(): Command {
  const command = new Command("artifacts")
    .summary("list or fetch what a job brought home")
    .description("Lists a job's artifacts, or fetches them.")
    .addArgument(new Argument("<id>", "the job ('testbed jobs' lists them)").argParser(parseJobId))
    .option("--to <dir>", "fetch them into this folder")
    .option("--force", "with --to: overwrite what is in the way")
    .addOption(
      new Option("--attempt <n>", "of this attempt (default: the last)").argParser(parseAttempt),
    )
    .option("--json", "print one JSON object");
  return withServiceOptions(command)
    .addHelpText("after", HELP_AFTER)
    .action(async (job: string, { to, force, attempt, json, ...wishes }: Options) => {
      if (to !== undefined) {
        const order = { job, attempt, folder: resolve(to), force: force ?? false };
        process.exitCode = await saveArtifacts(
          { ...order, json: json ?? false },
          wishes,
          readConfig(),
        );
        return;
      }
      const query = attempt === undefined ? {} : { attempt };
      const list = await askService(wishes, "listArtifacts", { path: { job }, query });
      await printAnswer(json ? `${JSON.stringify(list, null, 2)}\n` : table(list.artifacts));
    });
}

const COLUMNS: readonly Column<WireArtifact>[] = [
  { head: "PATH", cell: ({ path }) => path, least: 20 },
  { head: "SIZE", cell: ({ bytes }) => bytesInWords(bytes), isRight: true },
  { head: "SHA-256", cell: ({ sha256 }) => sha256, least: 12 },
];

function table(artifacts: readonly WireArtifact[]): string {
  return artifacts.length === 0
    ? "There are no artifacts.\n"
    : tableOf(COLUMNS, artifacts, terminalWidth());
}

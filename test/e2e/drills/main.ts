import { tableOf, terminalWidth } from "#cli/client/columns.ts";
import { durationInWords } from "#lib/words.ts";
import { runTests, type TestRun } from "#test/kit/run-tests.ts";
import { COLUMNS, choicesFor, outcomeOf } from "./outcome.ts";
import { ROWS } from "./rows.ts";

const HELP = `npm run drills [-- F-11 F-30 ...]

Does to testbed what the list of faults says, for real, and prints a table of what came of it: all rows, or those named.
Exit status 0 when all that were tried survived, 1 when one did not, 2 when a name is nobody's. Needs what npm test sets up.
`;

process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  if (args.includes("--help")) {
    process.stdout.write(HELP);
    return 0;
  }
  const known = new Set(ROWS.map(({ id }) => id));
  const unknown = args.filter((id) => !known.has(id));
  if (unknown.length > 0) {
    process.stderr.write(`no such row: ${unknown.join(", ")}\n\n${HELP}`);
    return 2;
  }
  const startedMs = performance.now();
  const rows = ROWS.filter(({ id }) => args.length === 0 || args.includes(id));
  const runs: TestRun[] = [];
  for (const choice of choicesFor(rows)) runs.push(...(await runTests(choice)));
  const outcomes = rows.map((row) => outcomeOf(row, runs));
  const count = (kind: string) => outcomes.filter((one) => one.kind === kind).length;
  process.stdout.write(`\n${tableOf(COLUMNS, outcomes, terminalWidth())}`);
  process.stdout.write(
    `\n${count("survived")} survived, ${count("failed")} failed, ${count("not tried")} not tried, in ${durationInWords(performance.now() - startedMs)}\n`,
  );
  return count("failed") === 0 ? 0 : 1;
}

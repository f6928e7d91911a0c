import { patternOf, type TestChoice, type TestRun } from "#test/kit/run-tests.ts";
import type { Row } from "./row.ts";
import { titleOf, whereOf } from "./row.ts";

/** What came of a row. */
export type Outcome = {
  readonly row: Row;
  readonly kind: "survived" | "failed" | "not tried";
  /** Which invariant does not hold, or why it was not tried. */
  readonly says: string;
  readonly seconds: number;
};

const DRILLS = {
  machines: "test/e2e/drills/machines.drill.ts",
  fakes: "test/e2e/drills/fakes.drill.ts",
} as const;

/** Projects in the order in which they run: what takes a moment first. */
const PROJECTS = ["unit", "contract", "integration", "e2e", "drills"] as const;

/** The tests that a row is: its own drill, or those elsewhere that prove it. */
function testsOf(row: Row): readonly { readonly file: string; readonly name: string }[] {
  if ("notTried" in row) return [];
  if ("provenBy" in row) return row.provenBy.map(({ file, test }) => ({ file, name: test }));
  return [{ file: "machines" in row ? DRILLS.machines : DRILLS.fakes, name: titleOf(row) }];
}

/** What is to be run for some rows, file by file: names are chosen by patterns, which may fit other files' tests, too. */
export function choicesFor(rows: readonly Row[]): readonly TestChoice[] {
  const tests = rows.flatMap(testsOf);
  return PROJECTS.flatMap((project) => {
    const files = new Set(
      tests.map(({ file }) => file).filter((file) => projectOf(file) === project),
    );
    return [...files].map((file) => {
      const names = tests.filter((one) => one.file === file).map(({ name }) => name);
      return { project, files: [file], names: [...new Set(names)] };
    });
  });
}

/** What came of a row, by all the tests that ran. A test that is named and did not run counts as failed. */
export function outcomeOf(row: Row, runs: readonly TestRun[]): Outcome {
  if ("notTried" in row) return { row, kind: "not tried", says: row.notTried, seconds: 0 };
  const wrong: string[] = [];
  let seconds = 0;
  for (const { file, name } of testsOf(row)) {
    const pattern = new RegExp(`^${patternOf(name)}$`, "s");
    const its = runs.filter((one) => one.file === file && pattern.test(one.name));
    seconds += its.reduce((sum, one) => sum + one.seconds, 0);
    if (its.length === 0) wrong.push(`${file} has no test '${name}'`);
    wrong.push(...its.filter(({ isPassed }) => !isPassed).map(({ says }) => says));
  }
  const kind = wrong.length === 0 ? "survived" : "failed";
  return { row, kind, says: wrong[0] ?? "", seconds };
}

/** A line of the table. */
export const COLUMNS = [
  { head: "fault", cell: ({ row }: Outcome) => row.id },
  { head: "phase", cell: ({ row }: Outcome) => row.phase },
  { head: "what happens", cell: ({ row }: Outcome) => row.fault },
  { head: "where", cell: ({ row }: Outcome) => whereOf(row) },
  { head: "s", isRight: true as const, cell: ({ seconds }: Outcome) => seconds.toFixed(0) },
  {
    head: "outcome",
    cell: ({ kind, says }: Outcome) =>
      kind === "failed" ? `FAILED: ${says}` : `${kind}${says === "" ? "" : `: ${says}`}`,
  },
];

function projectOf(file: string): string {
  return file.endsWith(".drill.ts") ? "drills" : (file.split("/")[1] ?? "");
}

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT } from "./house.ts";

/** A test that ran. */
export type TestRun = {
  /** Relative to the checkout. */
  readonly file: string;
  readonly name: string;
  readonly isPassed: boolean;
  readonly seconds: number;
  /** The first line of what went wrong. */
  readonly says: string;
};

/** Tests of one of vitest's projects, by their whole names, in which `*` stands for anything. */
export type TestChoice = {
  readonly project: string;
  readonly files: readonly string[];
  readonly names: readonly string[];
};

/** What vitest's JSON reporter writes, as far as it is read here. */
type Report = {
  readonly testResults: readonly {
    readonly name: string;
    readonly message: string;
    readonly assertionResults: readonly {
      readonly title: string;
      readonly status: string;
      readonly duration?: number;
      readonly failureMessages: readonly string[];
    }[];
  }[];
};

/** Runs chosen tests in a vitest of their own, which tells how it goes on standard error. Tests that were not found are not among them. */
export async function runTests(
  { project, files, names }: TestChoice,
  env: Readonly<Record<string, string>> = {},
): Promise<readonly TestRun[]> {
  const folder = await mkdtemp(join(tmpdir(), "testbed-drills-"));
  const output = join(folder, "report.json");
  const child = spawn(
    process.execPath,
    [
      join(ROOT, "node_modules/vitest/vitest.mjs"),
      ...["run", "--config", "test/vitest.config.ts", "--project", project, ...files],
      ...["--testNamePattern", `(${names.map(patternOf).join("|")})$`],
      ...[
        "--hideSkippedTests",
        "--reporter",
        "verbose",
        "--reporter",
        "json",
        "--outputFile.json",
        output,
      ],
    ],
    { cwd: ROOT, stdio: ["ignore", 2, 2], env: { ...process.env, ...env } },
  );
  await once(child, "exit");
  const text = await readFile(output, "utf8").catch(() => '{"testResults":[]}');
  await rm(folder, { recursive: true, force: true });
  return (JSON.parse(text) as Report).testResults.flatMap((file) =>
    file.assertionResults
      .filter(({ status }) => status === "passed" || status === "failed")
      .map(({ title, status, duration = 0, failureMessages }) => ({
        file: file.name.slice(ROOT.length),
        name: title,
        isPassed: status === "passed",
        seconds: duration / 1000,
        says: firstWrong(failureMessages[0] ?? file.message),
      })),
  );
}

/** A regular expression for names in which `*` stands for anything. */
export function patternOf(name: string): string {
  return name.replaceAll(/[\\^$.+?()[\]{}|/-]/g, "\\$&").replaceAll("*", ".*");
}

function firstWrong(message: string): string {
  return (message.split("\n")[0] ?? "").replace(/^(Assertion)?Error: /, "");
}

import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Verdict } from "#job/verdict.ts";
import { EXAMPLE_IMAGES, FIXTURE_IMAGES, ROOT, TEST_STATE } from "./house.ts";

/** What `testbed run` left behind: exit code, both streams, results. */
export type Ran = {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly results: string;
  /** `verdict.json`; throws when there is none. */
  verdict(): Promise<VerdictDocument>;
  /** A file of the results folder. */
  read(name: string): Promise<string>;
};

/** The parts of `verdict.json` that tests look at. */
type VerdictDocument = {
  readonly verdict: Verdict;
  readonly attempts: readonly unknown[];
  readonly [key: string]: unknown;
};

/** A command that runs. */
export type Running = {
  readonly pid: number;
  /** Everything printed so far, both streams. */
  output(): string;
  kill(signal: NodeJS.Signals): void;
  readonly done: Promise<Ran>;
};

/** What tests give the command: nothing of the developer's own settings. */
export function testEnvironment(): Record<string, string> {
  return {
    PATH: process.env["PATH"] ?? "/usr/bin:/bin",
    HOME: process.env["HOME"] ?? "/",
    TESTBED_STATE: TEST_STATE,
    TESTBED_CATALOGUE: `${FIXTURE_IMAGES}:${EXAMPLE_IMAGES}`,
    TESTBED_ACCEL: process.env["TESTBED_ACCEL"] ?? "tcg",
  };
}

/** Starts the installed command line. Its folder of results is the caller's to remove. */
export function startTestbed(
  args: readonly string[],
  results = "",
  env: Readonly<Record<string, string>> = testEnvironment(),
): Running {
  const child = spawn(join(ROOT, "bin/testbed"), [...args], {
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (piece: Buffer) => {
    stdout += piece.toString();
  });
  child.stderr.on("data", (piece: Buffer) => {
    stderr += piece.toString();
  });
  const { promise, resolve } = Promise.withResolvers<Ran>();
  child.once("close", (exitCode) => {
    const read = (name: string) => readFile(join(results, name), "utf8");
    const verdict = async () => JSON.parse(await read("verdict.json")) as VerdictDocument;
    resolve({ exitCode, stdout, stderr, results, verdict, read });
  });
  return {
    pid: child.pid ?? -1,
    output: () => stdout + stderr,
    kill: (signal) => child.kill(signal),
    done: promise,
  };
}

/** A job that runs in a folder of its own, which goes when it is disposed. */
export async function startJob(
  job: Record<string, unknown>,
  more: readonly string[] = [],
): Promise<Running & { readonly results: string } & AsyncDisposable> {
  const folder = await mkdtemp(join(tmpdir(), "testbed-job-"));
  const file = join(folder, "job.yaml");
  await writeFile(file, JSON.stringify({ image: "micro", timeout: "5m", ...job }));
  const results = join(folder, "results");
  const running = startTestbed(["run", file, "--results", results, ...more], results);
  return {
    ...running,
    results,
    [Symbol.asyncDispose]: async () => {
      running.kill("SIGTERM");
      await running.done;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

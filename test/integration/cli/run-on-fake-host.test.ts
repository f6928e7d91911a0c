import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { VerdictDocument } from "#cli/run/verdict-schema.ts";
import { machineName } from "#job/machine-name.ts";
import { eventually } from "#test/kit/eventually.ts";

/** The whole command but the machine: a process of its own, with signals, pipes and exit status. */
const RUNNER = new URL("../../kit/run-with-fake-host.ts", import.meta.url).pathname;

let folder: string;
const children: ChildProcess[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "testbed-run-"));
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  rmSync(folder, { recursive: true });
});

type Run = {
  readonly child: ChildProcess;
  readonly out: { stdout: string; stderr: string };
  readonly ended: Promise<{ code: number | null; signal: string | null }>;
};

function start(job: string, bootMs: number, ...flags: string[]): Run {
  const file = join(folder, "job.yaml");
  writeFileSync(file, job);
  const child = spawn(process.execPath, [RUNNER, file, join(folder, "out"), `${bootMs}`, ...flags]);
  children.push(child);
  const out = { stdout: "", stderr: "" };
  child.stdout.on("data", (piece) => {
    out.stdout += String(piece);
  });
  child.stderr.on("data", (piece) => {
    out.stderr += String(piece);
  });
  const ended = once(child, "close").then(([code, signal]) => ({ code, signal }));
  return { child, out, ended: ended as Run["ended"] };
}

function job(run: string, image = "micro"): string {
  return `image: ${image}\nsteps:\n  - { name: one, run: ${JSON.stringify(run)} }\n`;
}

function verdict(): VerdictDocument {
  return JSON.parse(readFileSync(join(folder, "out/verdict.json"), "utf8")) as VerdictDocument;
}

test("a job that passes: log exact on disk and harmless on the screen, verdict, exit status 0", async () => {
  const { out, ended } = start(job("printf 'a\\033[2Jb\\n==> passed\\n'"), 0);
  expect(await ended).toEqual({ code: 0, signal: null });
  expect(out.stdout).toBe("| a␛[2Jb\n| ==> passed\n");
  expect(out.stderr).toMatch(/^==> preparing the machine\n[\s\S]*\n==> passed after [\d.]+ s\n$/);
  expect(readFileSync(join(folder, "out/steps/01-one.log"), "latin1")).toBe(
    "a\u001b[2Jb\n==> passed\n",
  );
  expect(verdict()).toMatchObject({ verdict: { kind: "passed" }, results: join(folder, "out") });
});

test("with --json standard output is one JSON object, and everything else goes to standard error", async () => {
  const { out, ended } = start(job("echo hello; exit 7"), 0, "json");
  expect((await ended).code).toBe(1);
  expect(JSON.parse(out.stdout)).toEqual(verdict());
  expect(verdict()).toMatchObject({ verdict: { kind: "failed" }, steps: [{ exitCode: 7 }] });
  expect(out.stderr).toContain("| hello\n");
});

test("a machine that breaks: exit status 3, whose fault, the evidence harmless", async () => {
  const { out, ended } = start(job("true", "unbootable"), 0);
  expect((await ended).code).toBe(3);
  expect(out.stderr).toContain("==> nothing on the console after 30 s\n");
  expect(out.stderr).toContain("==> at: console speaks, fault: the image's\n");
  expect(out.stdout).toBe("| booting␛[2J\n| ==> passed\n");
  expect(out.stderr).toMatch(/==> broken: the machine did not boot in time \(image-unbootable\)/);
});

test("an image that nobody knows: exit status 2, and no results", async () => {
  const { out, ended } = start(job("true", "nowhere"), 0);
  expect((await ended).code).toBe(2);
  expect(out.stderr).toContain("no image 'nowhere'; there is: micro");
  expect(existsSync(join(folder, "out"))).toBe(false);
});

test("a wrong job file: exit status 2, the place, and nothing made", async () => {
  const { out, ended } = start("image: micro\nstep: []\n", 0);
  expect((await ended).code).toBe(2);
  expect(out.stderr).toMatch(/job\.yaml:2:1: step: unknown key; did you mean 'steps'\?/);
  expect(readdirSync(folder)).toEqual(["job.yaml"]);
});

test.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)(
  "%s cancels, is told so twice at once by npx without harm, and ends with 130 and a verdict",
  async (signal) => {
    const { child, out, ended } = start(job("echo begun; exec sleep 60"), 0);
    await eventually(() => out.stdout.includes("begun"), 20_000);
    child.kill(signal);
    child.kill(signal);
    expect(await ended).toEqual({ code: 130, signal: null });
    expect(out.stderr).toContain("cancelling and taking the machine down");
    expect(verdict()).toMatchObject({
      verdict: { kind: "cancelled" },
      steps: [{ outcome: "cancelled" }],
    });
  },
);

test("a second Ctrl-C leaves at once and says what may be left", async () => {
  // Teardown of the fake takes a tenth of its boot: longer than this test waits.
  const { child, out, ended } = start(job("true"), 300_000);
  await eventually(() => out.stderr.includes("starting the machine"), 20_000);
  child.kill("SIGINT");
  await eventually(() => out.stderr.includes("once more leaves at once"), 20_000);
  const again = setInterval(() => child.kill("SIGINT"), 200);
  expect(await ended).toEqual({ code: 130, signal: null });
  clearInterval(again);
  expect(out.stderr).toMatch(/the machine testbed-[0-9a-f]{8}-[0-9a-f]{16} may still be there/);
});

test("a second Ctrl-C names the machine of the attempt that runs", async () => {
  const { child, out, ended } = start(job("true", "flaky"), 300_000);
  await eventually(() => out.stderr.includes("starting the machine"), 20_000);
  child.kill("SIGINT");
  await eventually(() => out.stderr.includes("once more leaves at once"), 20_000);
  const again = setInterval(() => child.kill("SIGINT"), 200);
  expect(await ended).toEqual({ code: 130, signal: null });
  clearInterval(again);
  const [, order = "", left = ""] =
    /"job":"(\w+)"[\s\S]*the machine (\S+) may/.exec(out.stderr) ?? [];
  expect(left).toBe(machineName({ installation: "0".repeat(32), job: order, attempt: 2 }));
});

test("a reader that goes away stops nothing", async () => {
  const { child, ended } = start(job("seq 1 100000; sleep 0.3; echo over"), 0);
  child.stdout?.destroy();
  child.stderr?.destroy();
  expect((await ended).code).toBe(0);
  expect(verdict().verdict.kind).toBe("passed");
});

test("a reader that stands still stops neither the job nor the exit", async () => {
  const { child, ended } = start(job("seq 1 2000000"), 0);
  child.stdout?.pause();
  child.stderr?.pause();
  const exited = once(child, "exit");
  expect(await exited).toEqual([0, null]);
  expect(verdict()).toMatchObject({
    verdict: { kind: "passed" },
    steps: [{ logBytes: 14_888_896 }],
  });
  child.stdout?.resume();
  child.stderr?.resume();
  await ended;
});

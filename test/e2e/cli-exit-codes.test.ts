import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { eventually } from "#test/kit/eventually.ts";
import { ROOT } from "#test/kit/house.ts";
import { expectNothingLeft } from "#test/kit/leftovers.ts";
import { scratchFolder } from "#test/kit/scratch.ts";
import { type Ran, startTestbed } from "#test/kit/testbed.ts";

/** The examples that ship, through the installed command, in real machines. */
async function runExample(name: string, results: string, ...more: string[]): Promise<Ran> {
  const file = join(ROOT, "config/examples", `${name}.yaml`);
  return await startTestbed(["run", file, "--results", results, ...more], results).done;
}

test("pass.yaml: exit status 0, its log, its artifact, one JSON object on standard output", async () => {
  await using folder = await scratchFolder();
  const ran = await runExample("pass", join(folder.path, "out"), "--json");
  expect(ran.exitCode, ran.stderr).toBe(0);
  expect(JSON.parse(ran.stdout)).toEqual(await ran.verdict());
  expect(await ran.verdict()).toMatchObject({
    verdict: { kind: "passed" },
    attempts: [{ verdict: { kind: "passed" } }],
    image: { name: "micro", digest: expect.stringMatching(/^[0-9a-f]{64}$/) },
    steps: [
      { name: "hello", exitCode: 0 },
      { name: "report", exitCode: 0 },
    ],
    refused: [],
    leaks: [],
  });
  const log = await ran.read("steps/01-hello.log");
  expect(log).toMatch(/^Hello from a file that travelled with the job\.\nI am testbed on Linux/);
  expect(await ran.read("artifacts/tmp/out/system.txt")).toContain("processor");
  expect((await ran.read("console.log")).length).toBeGreaterThan(0);
  await expectNothingLeft();
});

test("fail.yaml: exit status 1, and the steps that run after a failure ran", async () => {
  await using folder = await scratchFolder();
  const ran = await runExample("fail", join(folder.path, "out"));
  expect(ran.exitCode, ran.stderr).toBe(1);
  expect((await ran.verdict())["steps"]).toMatchObject([
    { name: "build", outcome: "passed" },
    { name: "check", outcome: "failed", exitCode: 7 },
    { name: "install", outcome: "skipped" },
    { name: "explain", outcome: "passed" },
    { name: "tidy", outcome: "passed" },
  ]);
  expect(await ran.read("artifacts/tmp/build.log")).toBe("building\n");
  await expectNothingLeft();
});

test("malformed.yaml: exit status 2, every mistake with its place, and nothing made", async () => {
  await using folder = await scratchFolder();
  const ran = await runExample("malformed", join(folder.path, "out"));
  expect(ran.exitCode).toBe(2);
  expect(ran.stdout).toBe("");
  const lines = ran.stderr.trim().split("\n");
  expect(lines).toHaveLength(7);
  for (const line of lines) expect(line).toMatch(/malformed\.yaml:\d+:\d+: [a-z.0-9]+: /);
  expect(existsSync(join(folder.path, "out"))).toBe(false);
});

test("an image that nobody knows: exit status 2, the images that there are, and nothing made", async () => {
  await using folder = await scratchFolder();
  const ran = await runExample("pass", join(folder.path, "out"), "--image", "debian-21");
  expect(ran.exitCode).toBe(2);
  expect(ran.stderr).toContain("debian-21");
  expect(ran.stderr).toContain("micro");
  expect(existsSync(join(folder.path, "out"))).toBe(false);
  await expectNothingLeft();
});

test("unbootable.yaml: exit status 3, the image's fault, with stage and evidence", async () => {
  await using folder = await scratchFolder();
  const ran = await runExample("unbootable", join(folder.path, "out"));
  expect(ran.exitCode, ran.stderr).toBe(3);
  expect((await ran.verdict()).verdict).toMatchObject({
    kind: "broken",
    fault: { blame: "image", stage: expect.any(String) },
  });
  expect(ran.stderr).toContain("fault: the image's");
  await expectNothingLeft();
});

test("timeout.yaml: exit status 4, and what the step printed is kept", async () => {
  await using folder = await scratchFolder();
  const ran = await runExample("timeout", join(folder.path, "out"));
  expect(ran.exitCode, ran.stderr).toBe(4);
  expect((await ran.verdict())["steps"]).toMatchObject([{ outcome: "timed-out" }]);
  expect(await ran.read("steps/01-endless.log")).toBe("this will take a while\n");
  await expectNothingLeft();
});

test("interrupt.yaml and Ctrl-C: exit status 130 within seconds, the step cancelled, its log kept", async () => {
  await using folder = await scratchFolder();
  const results = join(folder.path, "out");
  const file = join(ROOT, "config/examples/interrupt.yaml");
  const running = startTestbed(["run", file, "--results", results], results);
  await eventually(() => running.output().includes("| press Ctrl-C"), 180_000);
  const atMs = performance.now();
  running.kill("SIGINT");
  const ran = await running.done;
  expect(performance.now() - atMs).toBeLessThan(30_000);
  expect(ran.exitCode, ran.stderr).toBe(130);
  expect(await ran.verdict()).toMatchObject({
    verdict: { kind: "cancelled" },
    steps: [{ outcome: "cancelled" }],
  });
  expect(await readFile(join(results, "steps/01-wait.log"), "utf8")).toBe("press Ctrl-C\n");
  await expectNothingLeft();
});

test("Ctrl-C while the machine boots: exit status 130, and nothing is left", async () => {
  await using folder = await scratchFolder();
  const results = join(folder.path, "out");
  const file = join(ROOT, "config/examples/pass.yaml");
  const running = startTestbed(["run", file, "--results", results], results);
  await eventually(() => running.output().includes("==> starting the machine"), 180_000);
  running.kill("SIGTERM");
  const ran = await running.done;
  expect(ran.exitCode, ran.stderr).toBe(130);
  expect(await ran.verdict()).toMatchObject({ verdict: { kind: "cancelled" } });
  await expectNothingLeft();
});

import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { eventually } from "#test/kit/eventually.ts";
import { Lab } from "#test/kit/lab.ts";
import { scratchFolder } from "#test/kit/scratch.ts";

/** The first job talks for as long as it takes to look at it by a command on a busy host. */
const FIRST_PAUSE_SECONDS = 5;

const stepsOf = (pauseSeconds: number) => [
  {
    name: "talk",
    run: `cat /in/hello.txt; for i in 1 2 3; do echo line $i; sleep ${pauseSeconds}; done`,
  },
  {
    name: "make",
    run: "mkdir -p /out; hostname > /out/where; head -c 100000 /dev/zero > /out/data",
  },
];

async function jobs(lab: Lab, count: number): Promise<readonly string[]> {
  await writeFile(join(lab.folder, "hello.txt"), "hello from the submitter\n");
  const job = {
    inputs: [{ from: "hello.txt", to: "/in/hello.txt" }],
    artifacts: ["/out/*"],
  };
  const ids = [];
  for (let at = 0; at < count; at += 1) {
    const steps = stepsOf(at === 0 ? FIRST_PAUSE_SECONDS : 0.5);
    ids.push(await lab.submit(`job-${at}`, { ...job, steps }));
  }
  return ids;
}

/** All that the job left behind, by the command line. */
async function check(lab: Lab, job: string): Promise<string> {
  const detail = await lab.settled(job);
  expect(detail.verdict, JSON.stringify(detail.attemptList)).toBe("passed");
  const log = await lab.testbed("logs", job, "--log", "step-1");
  expect(log.stdout).toBe("hello from the submitter\nline 1\nline 2\nline 3\n");
  const to = join(lab.folder, `artifacts-${job}`);
  const got = await lab.testbed("artifacts", job, "--to", to);
  expect(got.exitCode, got.stderr).toBe(0);
  expect((await readFile(join(to, "out/data"))).length).toBe(100_000);
  expect(await readFile(join(to, "out/where"), "utf8")).toMatch(/^testbed-/);
  return detail.host ?? "";
}

test("two hosts of one service share twenty jobs; a job is cancelled while it boots and one while it runs; a host is drained", {
  timeout: 600_000,
}, async () => {
  await using scratch = await scratchFolder();
  await using lab = await Lab.open(scratch.path, ["lab-a", "lab-b"], 2);
  const twenty = await jobs(lab, 20);
  const hosts = new Set<string>();

  // One is followed while it runs.
  const [first = "", second = ""] = twenty;
  const follow = lab.start("logs", "-f", first);
  await eventually(() => follow.output().includes("line 1"), 120_000);
  expect((await lab.show(first)).state).toBe("running");
  expect((await follow.done).stdout).toContain("line 3");
  hosts.add(await check(lab, first));
  hosts.add(await check(lab, second));

  const booting = await lab.submit("booting", { steps: [{ name: "never", run: "true" }] }, [
    "--priority",
    "10",
  ]);
  await eventually(async () => {
    return ["booting", "connecting"].includes((await lab.show(booting)).phase ?? "");
  }, 120_000);
  const cancelled = await lab.testbed("cancel", booting, "--why", "not needed");
  expect(cancelled.exitCode, cancelled.stderr).toBe(0);
  const ofBooting = await lab.settled(booting);
  expect(ofBooting.verdict).toBe("cancelled");
  expect(ofBooting.attemptList[0]?.report?.steps.map(({ outcome }) => outcome) ?? []).not.toContain(
    "passed",
  );

  const running = await lab.submit(
    "running",
    { steps: [{ name: "long", run: "echo begun; sleep 600" }] },
    ["--priority", "10"],
  );
  await eventually(
    async () => (await lab.testbed("logs", running)).stdout.includes("begun"),
    120_000,
  );
  await lab.testbed("cancel", running);
  const ofRunning = await lab.settled(running);
  expect(ofRunning).toMatchObject({ verdict: "cancelled", why: expect.stringContaining("ada") });

  const drained = await lab.testbed("drain", "lab-b", "--why", "new disk");
  expect(drained.exitCode, drained.stderr).toBe(0);
  const before = new Set(
    (await all(lab)).filter(({ state }) => state !== "queued").map(({ id }) => id),
  );
  for (const job of twenty.slice(2)) {
    const host = await check(lab, job);
    hosts.add(host);
    if (!before.has(job)) expect(host).toBe("lab-a");
  }
  expect([...hosts].sort()).toEqual(["lab-a", "lab-b"]);
  const late = await lab.submit("late", { steps: [{ name: "hi", run: "true" }] });
  expect((await lab.settled(late)).host).toBe("lab-a");
});

test("one daemon with a service inside is a whole lab", { timeout: 300_000 }, async () => {
  await using scratch = await scratchFolder();
  await using lab = await Lab.embedded(scratch.path, "lab-c", 2);
  for (const job of await jobs(lab, 3)) await check(lab, job);
});

async function all(lab: Lab): Promise<readonly { id: string; state: string }[]> {
  const { stdout } = await lab.testbed("jobs", "--json", "--limit", "100");
  return (JSON.parse(stdout) as { jobs: { id: string; state: string }[] }).jobs;
}

import { beforeEach, expect, test } from "vitest";
import { ClientDesk } from "#test/kit/client-desk.ts";

let desk: ClientDesk;

beforeEach(async () => {
  desk = await ClientDesk.forTest();
});

test("jobs are listed by page and filter, newest first", async () => {
  const file = await desk.job();
  for (const name of ["one", "two", "three"]) await desk.run("submit", file, "--name", name);
  const page = await desk.json("jobs", "--limit", "2");
  expect(page.jobs.map(({ name }) => name)).toEqual(["three", "two"]);
  const table = await desk.run("jobs", "--limit", "2");
  expect(table.stdout).toMatch(/^ID +NAME +STATE/);
  expect(table.stdout).toContain(`more: testbed jobs --limit 2 --cursor ${page.next}\n`);
  const rest = await desk.json("jobs", "--cursor", page.next);
  expect(rest).toEqual({ jobs: [expect.objectContaining({ name: "one" })] });
  expect((await desk.json("jobs", "--name", "two")).jobs).toHaveLength(1);
  expect((await desk.run("jobs", "--verdict", "broken")).stdout).toBe("There are no such jobs.\n");
  expect(await desk.run("jobs", "--state", "nonsense")).toMatchObject({ exitCode: 2 });
  expect(await desk.run("jobs", "--limit", "1000")).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining("--limit"),
  });
});

test("a queued job is cancelled at once, one that runs by its host; twice is safe", async () => {
  const host = await desk.host();
  const file = await desk.job();
  await desk.run("submit", file);
  const { jobId } = await host.take();
  const queued = (await desk.run("submit", file)).stdout.trim();
  const ran = await desk.run("cancel", queued, jobId, "--why", "wrong branch");
  expect(ran).toMatchObject({
    exitCode: 0,
    stdout: `${queued}  is cancelled\n${jobId}  its host lab-1 is told to end it\n`,
  });
  expect(await host.enter("booting")).toMatchObject({ cancel: "wrong branch" });
  await host.settle({ kind: "passed" });
  const again = await desk.json("cancel", queued, jobId);
  expect(again.jobs.map(({ verdict }) => verdict)).toEqual(["cancelled", "passed"]);
  const none = await desk.run("cancel", "00000000000000ff", "--json");
  expect(none.exitCode).toBe(2);
  expect(JSON.parse(none.stdout).error).toMatchObject({ exitCode: 2, problem: "not-found" });
  expect(await desk.run("cancel", "nonsense")).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining("16 hexadecimal digits"),
  });
});

test("all about a job: attempts, steps, its fault, its history", async () => {
  const host = await desk.host();
  await desk.run("submit", await desk.job({ attempts: 2 }));
  const { jobId } = await host.take();
  await host.enter("booting");
  const fault = { blame: "host", retry: "anywhere", message: "QEMU died\nof old age" } as const;
  await host.settle({
    kind: "broken",
    fault: { code: "machine-crashed", stage: "step build", evidence: {}, ...fault },
  });
  await host.take();
  const steps = [
    {
      name: "build",
      outcome: "failed",
      exitCode: 2,
      durationMs: 1500,
      logBytes: 2048,
      cutBytes: 0,
    },
  ] as const;
  const refused = [{ name: "/tmp/\u001bfifo", why: "is no regular file" }];
  await host.settle({ kind: "failed", why: "step build" }, { steps: [...steps], refused });
  const { stdout } = await desk.run("job", jobId);
  for (const line of [
    /^state +failed on lab-1 after/m,
    /^why +step build$/m,
    /^ +1 {2}lab-1 {2}ended .*broken: machine-crashed$/m,
    /^build +1\.5 s +2\.0 KiB {2}failed with exit status 2$/m,
    /^\/tmp\/\\u\{1b\}fifo +is no regular file$/m,
    /booting on lab-1$/m,
    /ago {2}submitted by ada and queued$/m,
  ])
    expect(stdout).toMatch(line);
});

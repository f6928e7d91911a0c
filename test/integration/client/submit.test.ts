import { createHash } from "node:crypto";
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { ClientDesk } from "#test/kit/client-desk.ts";
import { eventually } from "#test/kit/eventually.ts";

const WAIT_MS = 20_000;

let desk: ClientDesk;

beforeEach(async () => {
  desk = await ClientDesk.forTest();
});

const sha256 = (content: string | Uint8Array) => createHash("sha256").update(content).digest("hex");

test("a submit prints the job's id, and the job is what the file says", async () => {
  const file = await desk.job({ env: { A: "b" } });
  const more = ["--requires", "arch=x86_64", "--priority", "-7", "--queue-limit", "2h"];
  const ran = await desk.run("submit", file, "--attempts", "3", "--set", "timeout=5m", ...more);
  expect(ran).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/^[0-9a-f]{16}\n$/) });
  const id = ran.stdout.trim();
  expect(ran.stderr).toContain(`testbed logs -f ${id}`);
  const job = await desk.json("job", id);
  expect(job).toMatchObject({
    id,
    name: "job",
    owner: "ada",
    priority: -7,
    labels: ["arch=x86_64"],
    queueLimitSeconds: 7200,
    attemptsMax: 3,
    state: "queued",
    waiting: { reason: "no-hosts" },
    job: { image: "micro", timeout: "5m", attempts: 3, env: { A: "b" } },
    events: [{ kind: "submitted" }],
  });
  expect((await desk.run("job", id)).stdout).toContain("no host has ever asked for work");
});

test("inputs are uploaded once: a file with its mode, a folder as an archive, an empty one", async () => {
  const big = Buffer.alloc(20 * 2 ** 20, "content");
  await writeFile(join(desk.home, "big"), big, { mode: 0o755 });
  await writeFile(join(desk.home, "empty"), "");
  await mkdir(join(desk.home, "folder/below"), { recursive: true });
  await writeFile(join(desk.home, "folder/below/file"), "in a folder");
  await symlink("below/file", join(desk.home, "folder/link"));
  const inputs = ["big", "empty", "folder"].map((from) => ({ from, to: `/in/${from}` }));
  const file = await desk.job({ inputs });
  const first = await desk.run("submit", file);
  expect(first.exitCode).toBe(0);
  expect(first.stderr).toMatch(/inputs: 20\.0 MiB, 20\.0 MiB sent/);
  const again = await desk.run("submit", file);
  expect(again.stderr).toMatch(/inputs: 20\.0 MiB, all there already/);

  const host = await desk.host();
  const { job } = await host.take();
  expect(job.inputs).toEqual([
    { kind: "file", to: "/in/big", mode: 0o755, bytes: big.length, sha256: sha256(big) },
    { kind: "file", to: "/in/empty", mode: 0o644, bytes: 0, sha256: sha256("") },
    expect.objectContaining({ kind: "folder", to: "/in/folder" }),
  ]);
  const archive = await host.input(job.inputs?.[2]?.sha256 ?? "");
  expect(archive.length % 512).toBe(0);
  expect(archive.toString("latin1")).toContain("in a folder");
});

test("the same key gives the same job, and another job under it is refused", async () => {
  const file = await desk.job();
  const first = await desk.run("submit", file, "--key", "build-17");
  const again = await desk.run("submit", file, "--key", "build-17");
  expect(again.stdout).toBe(first.stdout);
  const other = await desk.run("submit", file, "--key", "build-17", "--name", "other", "--json");
  expect(other.exitCode).toBe(2);
  expect(JSON.parse(other.stdout).error).toMatchObject({ exitCode: 2, problem: "key-reused" });
});

test.each([
  [["--priority", "1000"], "--priority"],
  [["--requires", "Bad Label"], "--requires"],
  [["--queue-limit", "400d"], "--queue-limit"],
  [["--queue-limit", "soon"], "such as 2h"],
  [["--key", "a b"], "--key"],
  [["--name", "a\nb"], "--name"],
  [["--attempts", "11"], "attempts"],
  [["--set", "image=UPPER"], "--set image=UPPER"],
])("%j is refused before anything is asked", async (more, says) => {
  const ran = await desk.run("submit", await desk.job(), ...more);
  expect(ran).toMatchObject({ exitCode: 2, stdout: "", stderr: expect.stringContaining(says) });
  expect((await desk.room.store.list({ limit: 1 })).jobs).toEqual([]);
});

test("what is wrong with a job file is told with its places, as run does", async () => {
  const file = await desk.job({ nonsense: true, inputs: [{ from: "nowhere", to: "/x" }] });
  const ran = await desk.run("submit", file, "--json");
  expect(ran.exitCode).toBe(2);
  const { problems } = JSON.parse(ran.stdout).error;
  expect(problems.map(({ path }: { path: string }) => path).sort()).toEqual([
    "inputs.0.from",
    "nonsense",
  ]);
});

test("a watch tells the history and the log, and exits as run does", async () => {
  const host = await desk.host();
  await host.appear({ images: [] });
  const watch = desk.start("submit", "--watch", await desk.job({ attempts: 2 }));
  await eventually(() => watch.output().includes("waits: no host has image micro"), WAIT_MS);
  await host.take();
  await host.enter("booting");
  await host.write("==> starting the machine\n| hello from \u001b[31mthe guest\n| half a");
  await eventually(() => watch.output().includes("| half a"), WAIT_MS);
  await host.write(" line\n");
  const fault = { blame: "host", retry: "anywhere", message: "it broke", evidence: {} } as const;
  await host.settle({ kind: "broken", fault: { code: "machine-crashed", ...fault } });
  await host.take();
  await host.write("plain text of a second attempt\n");
  const artifact = await host.deliver("out.txt", "result");
  await host.settle({ kind: "failed", why: "step build failed" }, { artifacts: [artifact] });
  const { exitCode, stdout, stderr } = await watch.done;
  expect(exitCode).toBe(1);
  expect(stdout).toBe(
    "| hello from ␛[31mthe guest\n| half a line\n| plain text of a second attempt\n",
  );
  const told = stderr.split("\n").filter((line) => line !== "");
  expect(told.every((line) => line.startsWith("==> "))).toBe(true);
  const order = [
    "submitted by ada and queued",
    "waits: no host has image micro",
    "leased",
    "starting the machine",
    "it broke",
    "queued for attempt 2",
    "leased",
    "artifacts: 1, 6 B",
    "failed: step build failed, ",
  ];
  let at = -1;
  for (const words of order) {
    const found = told.findIndex((line, index) => index > at && line.includes(words));
    expect([words, found > at]).toEqual([words, true]);
    at = found;
  }
});

test.each([
  [{ kind: "passed" } as const, 0],
  [{ kind: "timed-out", why: "too long" } as const, 4],
  [
    {
      kind: "broken",
      fault: { code: "guest-panicked", blame: "job", retry: "never", message: "m", evidence: {} },
    } as const,
    3,
  ],
  [
    {
      kind: "broken",
      fault: {
        code: "image-unknown",
        blame: "operator",
        retry: "never",
        message: "m",
        evidence: {},
      },
    } as const,
    2,
  ],
])("a job that ends as %j: exit status %i, and with --json all about it", async (verdict, code) => {
  const host = await desk.host();
  const watch = desk.start("submit", "--watch", "--json", await desk.job());
  await host.take();
  await host.settle(verdict);
  const { exitCode, stdout } = await watch.done;
  expect(exitCode).toBe(code);
  expect(JSON.parse(stdout)).toMatchObject({ state: "settled", verdict: verdict.kind });
});

test("Ctrl-C leaves a watched job to itself and says how to go on; with the option it cancels", async () => {
  const host = await desk.host();
  const left = desk.start("submit", "--watch", await desk.job());
  const { jobId } = await host.take();
  await eventually(() => left.output().includes("leased"), WAIT_MS);
  left.kill("SIGINT");
  const ran = await left.done;
  expect(ran).toMatchObject({
    exitCode: 130,
    stderr: expect.stringContaining(
      `follow it: testbed logs -f ${jobId}\ncancel it: testbed cancel ${jobId}`,
    ),
  });
  expect((await desk.json("job", jobId)).cancel).toBeUndefined();
  await host.settle({ kind: "passed" });

  const watch = desk.start("submit", "--watch", "--cancel-on-interrupt", await desk.job());
  const second = await host.take();
  await eventually(() => watch.output().includes("leased"), WAIT_MS);
  watch.kill("SIGTERM");
  await eventually(async () => (await host.enter("booting"))?.cancel !== undefined, WAIT_MS);
  await host.settle({ kind: "cancelled", why: "cancelled" });
  expect(await watch.done).toMatchObject({
    exitCode: 130,
    stderr: expect.stringContaining("==> cancelled"),
  });
  expect((await desk.json("job", second.jobId)).verdict).toBe("cancelled");
});

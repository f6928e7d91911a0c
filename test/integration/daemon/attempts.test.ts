import { execFileSync } from "node:child_process";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { Fault } from "#job/fault.ts";
import { DaemonRoom } from "#test/kit/daemon-room.ts";
import { eventually } from "#test/kit/eventually.ts";
import { PAPER_IMAGE } from "#test/kit/orders.ts";
import { scratchFolder } from "#test/kit/scratch.ts";
import { LEASE_SECONDS } from "#test/kit/service-room.ts";

let room: DaemonRoom;
beforeEach(async () => {
  room = await DaemonRoom.open();
  onTestFinished(() => room[Symbol.asyncDispose]());
});

/** A step that runs until the file is there, so that a test decides when it ends. */
const until = (path: string) =>
  `echo begun; while ! [ -e ${path} ]; do sleep 0.05; done; echo over`;

async function gate() {
  const folder = await scratchFolder();
  onTestFinished(() => folder[Symbol.asyncDispose]());
  const path = join(folder.path, "open");
  return { path, open: () => writeFile(path, "") };
}

test("a job is leased, run and reported: logs, artifacts, phases, image, verdict", async () => {
  const paper = await room.start("lab-1");
  const folder = await scratchFolder();
  onTestFinished(() => folder[Symbol.asyncDispose]());
  const out = join(folder.path, "out.txt");
  const job = await room.submit([`echo one; echo content >${out}`, "echo two"], {
    artifacts: [out],
  });
  const detail = await room.settled(job);
  expect(detail).toMatchObject({
    verdict: "passed",
    host: "lab-1",
    pinned: { name: "paper", digest: PAPER_IMAGE.digest },
  });
  const [attempt] = detail.attemptList;
  expect(attempt).toMatchObject({ state: "ended", phase: "reported", verdict: { kind: "passed" } });
  expect(attempt?.report?.steps.map(({ outcome }) => outcome)).toEqual(["passed", "passed"]);
  const output = await room.log(job);
  expect(output).toContain("==> step 1 of 2: step 1\n| one\n==> step 1 of 2: step 1: passed");
  expect(output).toMatch(/==> passed after [0-9.]+ s\n$/);
  expect(await room.log(job, "step-2")).toBe("two\n");
  expect(await room.log(job, "console")).toBe("Linux version 6.1\n");
  expect(attempt?.report?.logs).toContainEqual({ log: "output", bytes: output.length });
  const { json } = await room.ask("GET", `/v1/jobs/${job}/artifacts`);
  const got = await room.ask("GET", `/v1/jobs/${job}/artifacts/${json.artifacts[0]?.sha256}`);
  expect(got.text).toBe("content\n");
  // Phases that are over between two renewals are in the report only.
  expect(attempt?.report?.phases.map(({ phase }) => phase)).toEqual([
    "leased",
    "preparing",
    "booting",
    "connecting",
    "running",
    "collecting",
    "settled",
  ]);
  await eventually(
    async () => (await readdir(join(room.stateOf("lab-1"), "attempts"))).length === 0,
    5000,
  );
  const over = paper.lines.find(({ words }) => words === "attempt over");
  expect(over?.fields).toMatchObject({
    job,
    attempt: 1,
    verdict: "passed",
    artifacts: 1,
    steps: 2,
  });
});

test("the log comes while the step runs", async () => {
  await room.start("lab-1");
  const { path, open } = await gate();
  const job = await room.submit([until(path)]);
  await eventually(async () => (await room.show(job)).state === "running", 10_000);
  await eventually(async () => (await room.log(job)).includes("| begun"), 10_000);
  await eventually(async () => (await room.log(job, "step-1")) === "begun\n", 10_000);
  await open();
  expect((await room.settled(job)).verdict).toBe("passed");
});

test("a cancel ends an attempt within moments: while its machine boots, and while a step runs", async () => {
  await room.start("lab-1", { dial: ({ guests }) => guests.hangNext("connect") });
  const booting = await room.submit(["true"]);
  await eventually(async () => (await room.events(booting)).includes("connecting"), 10_000);
  let startedMs = performance.now();
  await room.cancel(booting);
  expect((await room.settled(booting)).verdict).toBe("cancelled");
  expect(performance.now() - startedMs).toBeLessThan(5000);

  const running = await room.submit(["echo begun; sleep 60"]);
  await eventually(async () => (await room.log(running)).includes("| begun"), 10_000);
  startedMs = performance.now();
  await room.cancel(running);
  expect((await room.settled(running)).verdict).toBe("cancelled");
  expect(performance.now() - startedMs).toBeLessThan(5000);
});

test("while the service is away the attempt goes on, and everything is delivered when it is back", async () => {
  const paper = await room.start("lab-1");
  const { path, open } = await gate();
  const job = await room.submit([until(path)]);
  await eventually(async () => (await room.log(job)).includes("| begun"), 10_000);
  await room.service.stop();
  await open();
  await eventually(() => paper.hypervisor.machines.size === 0, 10_000);
  await eventually(
    async () => (await paper.daemon.status()).attempts[0]?.state === "delivering",
    10_000,
  );
  await room.service.restart();
  expect((await room.settled(job)).verdict).toBe("passed");
  expect(await room.log(job, "step-1")).toBe("begun\nover\n");
});

test("inputs come by digest: a file, and a folder that is unpacked in the guest only", async () => {
  await room.start("lab-1");
  const folder = await scratchFolder();
  onTestFinished(() => folder[Symbol.asyncDispose]());
  await mkdir(join(folder.path, "src/sub"), { recursive: true });
  await writeFile(join(folder.path, "src/sub/name"), "from the archive\n");
  const tar = execFileSync("tar", ["-cf", "-", "-C", join(folder.path, "src"), "."]);
  const inputs = [
    await room.input(
      Buffer.from("#!/bin/sh\necho from the file\n"),
      "file",
      join(folder.path, "run"),
    ),
    await room.input(tar, "folder", join(folder.path, "to")),
  ];
  const job = await room.submit([`sh ${folder.path}/run; cat ${folder.path}/to/sub/name`], {
    inputs,
  } as never);
  expect((await room.settled(job)).verdict).toBe("passed");
  expect(await room.log(job, "step-1")).toBe("from the file\nfrom the archive\n");
});

test("what breaks is told with its fault, and tried again elsewhere", async () => {
  const fault = new Fault("guest-no-ssh", "no banner", { stage: "banner" });
  const first = await room.start("lab-1", {
    dial: ({ guests }) => guests.failNext("connect", fault),
  });
  const job = await room.submit(["true"], { attempts: 2 });
  await eventually(async () => (await room.show(job)).attemptList[0]?.state === "ended", 10_000);
  expect((await room.show(job)).attemptList[0]?.verdict?.fault).toMatchObject({
    code: "guest-no-ssh",
    stage: "banner",
    evidence: { machineState: "running", console: "Linux version 6.1\n" },
  });
  // The host is to be avoided, but there is no other; it takes the job as its last resort, or another host does.
  await room.start("lab-2");
  const detail = await room.settled(job);
  expect(detail.verdict).toBe("passed");
  expect(detail.attemptList).toHaveLength(2);
  expect(first.lines.filter(({ level }) => level === "error")).toEqual([]);
});

test("an attempt whose lease was lost ends, and its evidence stays on the host with the reason", async () => {
  const paper = await room.start("lab-1");
  const { path } = await gate();
  const job = await room.submit([until(path)], { attempts: 1 });
  await eventually(async () => (await room.log(job)).includes("| begun"), 10_000);
  // The service thinks that the host was silent.
  room.service.clock.advance(LEASE_SECONDS + 1);
  await room.service.store.expire();
  await room.service.stop();
  await room.service.restart();
  await eventually(() => paper.hypervisor.machines.size === 0, 30_000);
  const folder = join(room.stateOf("lab-1"), "attempts", `${job}-1`);
  await eventually(async () => {
    const aside = await readFile(join(folder, "set-aside.txt"), "utf8").catch(() => "");
    return aside !== "";
  }, 30_000);
  expect(await readFile(join(folder, "results/steps/01-step-1.log"), "utf8")).toBe("begun\n");
  expect((await room.settled(job)).verdict).toBe("broken");
  await rm(folder, { recursive: true });
});

test("no more at once than the host has room for", async () => {
  const paper = await room.start("lab-1");
  const { path, open } = await gate();
  const jobs = [];
  for (let at = 0; at < 5; at += 1) jobs.push(await room.submit([until(path)]));
  await eventually(() => paper.hypervisor.machines.size === 2, 10_000);
  const { state, free, attempts } = await paper.daemon.status();
  expect({ state, slots: free.slots, running: attempts.length }).toEqual({
    state: "working",
    slots: 0,
    running: 2,
  });
  await open();
  for (const job of jobs) expect((await room.settled(job)).verdict).toBe("passed");
});

test("the renewal that was held when an attempt ended is nothing that the service's operator hears of", async () => {
  const paper = await room.start("lab-1");
  const job = await room.submit(["true"]);
  await room.settled(job);
  await eventually(async () => (await paper.daemon.status()).attempts.length === 0, 5000);
  // It has answered everything then.
  await room.service.stop();
  expect(room.service.refused).toEqual([]);
  await room.service.restart();
});

import { readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { connectLibvirt } from "#libvirt/client.ts";
import { eventually } from "#test/kit/eventually.ts";
import { TEST_STATE } from "#test/kit/house.ts";
import { expectNothingLeft, leftovers, machinePrefix } from "#test/kit/leftovers.ts";
import { signalQemu } from "#test/kit/qemu-processes.ts";
import { startJob } from "#test/kit/testbed.ts";

const sleep = { name: "sleep", run: "echo begun; sleep 300" };
const sleeps = { steps: [sleep] };
const sleepsWithin = (timeout: string) => ({ steps: [{ ...sleep, timeout }] });
const quick = { steps: [{ name: "hello", run: "echo hello" }] };

test("a run that was killed with SIGKILL is swept by the next, and one that lives is not", async () => {
  await using dead = await startJob(sleeps);
  await using live = await startJob(sleeps);
  await eventually(
    () => dead.output().includes("begun") && live.output().includes("begun"),
    120_000,
  );
  expect((await readdir(join(TEST_STATE, "machines"))).length).toBe(2);
  dead.kill("SIGKILL");
  await dead.done;

  await using next = await startJob(quick);
  const ran = await next.done;
  expect(ran.exitCode, ran.stderr).toBe(0);
  expect(ran.stderr).toContain("swept the leftover machine");
  expect((await readdir(join(TEST_STATE, "machines"))).length).toBe(1);
  expect((await leftovers()).filter((line) => line.startsWith("testbed-")).length).toBe(2);

  live.kill("SIGINT");
  expect((await live.done).exitCode).toBe(130);
  await expectNothingLeft();
});

test("three runs at once pass and leave nothing behind", async () => {
  const jobs = await Promise.all([startJob(quick), startJob(quick), startJob(quick)]);
  for (const job of jobs) {
    const ran = await job.done;
    expect(ran.exitCode, ran.stderr).toBe(0);
    expect(await ran.read("steps/01-hello.log")).toBe("hello\n");
    await job[Symbol.asyncDispose]();
  }
  await expectNothingLeft();
});

test("eight runs in a row leave nothing behind, and one network", async () => {
  const before = await surroundings();
  for (let count = 0; count < 8; count += 1) {
    await using job = await startJob(quick);
    const ran = await job.done;
    expect(ran.exitCode, ran.stderr).toBe(0);
  }
  await expectNothingLeft();
  const after = await surroundings();
  expect(after.temporary).toEqual(before.temporary);
  expect(after.state).toEqual(before.state);
  expect(after.qemuLogs).toEqual(before.qemuLogs);
  expect(after.networks.filter((name) => !before.networks.includes(name)).length).toBeLessThan(2);
}, 600_000);

/** What a run could litter: temporary folders, the state folder, QEMU's logs, networks. */
async function surroundings() {
  const list = async (path: string) => (await readdir(path).catch(() => [])).sort();
  await using libvirt = await connectLibvirt("qemu:///system");
  const networks = (await libvirt.networks.list()).map(({ name }) => name);
  // Tests that run beside this one make folders of their own.
  const ofTests = /^testbed-(test|drills|soak|fake-guest)-/;
  const temporary = (await list(tmpdir())).filter(
    (name) => name.startsWith("testbed") && !ofTests.test(name),
  );
  const prefix = await machinePrefix();
  const qemuLogs = (await list("/var/log/libvirt/qemu")).filter((name) => name.startsWith(prefix));
  return { temporary, state: await list(TEST_STATE), qemuLogs, networks };
}

/** What a host can do to a QEMU process, how it is told, and within what time. Never the job's fault. */
const QEMU_SIGNALS = [
  ["SIGKILL", "machine-crashed", 10_000],
  ["SIGTERM", "machine-crashed", 10_000],
  // Frozen, it is still "running" for libvirt: the guest's silence tells first, and then QEMU's own.
  ["SIGSTOP", "machine-hung", 180_000],
] as const;

for (const [signal, code, withinMs] of QEMU_SIGNALS) {
  test(`a QEMU process that gets ${signal} mid-step ends the run as ${code}, whether its step has a limit or not`, async () => {
    await using endless = await startJob(sleeps);
    await eventually(() => endless.output().includes("begun"), 120_000);
    await using limited = await startJob(sleepsWithin("20s"));
    await eventually(() => limited.output().includes("begun"), 120_000);
    const atMs = performance.now();
    await signalQemu(await machinePrefix(), signal);
    for (const job of [endless, limited]) {
      const ran = await job.done;
      expect(performance.now() - atMs).toBeLessThan(withinMs);
      expect(ran.exitCode).toBe(3);
      expect(await ran.verdict()).toMatchObject({
        verdict: { kind: "broken", fault: { code, blame: "host" } },
        steps: [{ outcome: "lost" }],
      });
      expect(await ran.read("steps/01-sleep.log")).toBe("begun\n");
    }
    await expectNothingLeft();
  });
}

import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { NO_JOURNAL } from "#host/runner/journal.ts";
import { sweep } from "#host/runner/sweep.ts";
import { Fault } from "#job/fault.ts";
import { Ended } from "#job/verdict.ts";
import { eventually } from "#test/kit/eventually.ts";
import { paperHouse, step } from "#test/kit/paper-house.ts";

type House = Awaited<ReturnType<typeof paperHouse>>;

const outcomes = (report: { steps: readonly { name: string; outcome: string }[] }) =>
  report.steps.map(({ name, outcome }) => `${name} ${outcome}`);

/** Nothing is left of an attempt: no machine, no folder. */
async function expectClean(house: House): Promise<void> {
  expect([...house.hypervisor.machines.keys()]).toEqual([]);
  expect(await readdir(join(house.state.path, "machines"))).toEqual([]);
}

test("a job that passes goes through every phase, and leaves its log, its console and nothing else", async () => {
  await using house = await paperHouse();
  const report = await house.run({});
  expect(report.verdict).toEqual({ kind: "passed" });
  expect(house.events.filter((line) => line.startsWith("phase"))).toEqual(
    ["leased", "preparing", "booting", "connecting", "running", "collecting", "settled"].map(
      (phase) => `phase ${phase}`,
    ),
  );
  expect(report.phases.map(({ phase }) => phase)).toEqual(
    house.events.filter((line) => line.startsWith("phase")).map((line) => line.slice(6)),
  );
  expect(await readFile(join(house.results, "steps/01-hello.log"), "utf8")).toBe("hello\n");
  expect(await readFile(join(house.results, "console.log"), "utf8")).toContain("Linux version");
  expect(report).toMatchObject({ acceleration: "tcg", image: { name: "paper" }, leaks: [] });
  await expectClean(house);
});

test("the first step that fails decides, and after it only failure and always steps run", async () => {
  await using house = await paperHouse();
  const report = await house.run({
    steps: [
      step("one", "true"),
      step("two", "exit 3"),
      step("three", "exit 4"),
      step("explain", "true", { when: "failure" }),
      step("tidy", "exit 5", { when: "always" }),
    ],
  });
  expect(report.verdict).toEqual({ kind: "failed", why: "step 'two' exited with status 3" });
  expect(outcomes(report)).toEqual([
    "one passed",
    "two failed",
    "three skipped",
    "explain passed",
    "tidy failed",
  ]);
});

test("an always step that fails makes a job fail that passed until then", async () => {
  await using house = await paperHouse();
  const report = await house.run({
    steps: [
      step("one", "true"),
      step("never", "true", { when: "failure" }),
      step("tidy", "exit 5", { when: "always" }),
    ],
  });
  expect(report.verdict).toMatchObject({ kind: "failed" });
  expect(outcomes(report)).toEqual(["one passed", "never skipped", "tidy failed"]);
});

test("a step over its limit makes the job time out, and files still come home", async () => {
  await using house = await paperHouse();
  const file = join(house.results, "..", "artifact");
  const report = await house.run({
    steps: [step("write", `echo x > ${file}`), step("slow", "sleep 60", { timeoutSeconds: 1 })],
    artifacts: [file],
  });
  expect(report.verdict).toEqual({
    kind: "timed-out",
    why: "step 'slow' took longer than its 1 s",
  });
  expect(report.artifacts.length).toBe(1);
});

test("the attempt's deadline ends it in a step, and says in which phase", async () => {
  await using house = await paperHouse();
  const file = join(house.results, "..", "artifact");
  const report = await house.run({
    timeoutSeconds: 1,
    steps: [step("slow", `echo x > ${file}; sleep 60`), step("tidy", "true", { when: "always" })],
    artifacts: [file],
  });
  expect(report.verdict).toMatchObject({
    kind: "timed-out",
    why: expect.stringContaining("phase running"),
  });
  expect(outcomes(report)).toEqual(["slow timed-out", "tidy skipped"]);
  expect(report.artifacts.length).toBe(1);
  await expectClean(house);
});

/** A verb of the guest, and what the listener says just before it. */
const HANGING = {
  prepare: "phase preparing",
  connect: "waiting domain runs",
  send: "phase running",
  run: "begins hello",
  collect: "phase collecting",
} as const;

for (const verb of Object.keys(HANGING) as (keyof typeof HANGING)[]) {
  test(`a cancel during ${verb} ends the attempt as cancelled and clean`, async () => {
    await using house = await paperHouse();
    house.guests.hangNext(verb);
    const cancel = new AbortController();
    const running = house.run({ artifacts: ["/nowhere"] }, { signal: cancel.signal });
    await eventually(() => house.events.includes(HANGING[verb]), 5_000);
    cancel.abort(new Ended("cancelled", "Ctrl-C"));
    expect((await running).verdict).toEqual({ kind: "cancelled", why: "Ctrl-C" });
    await expectClean(house);
  });
}

const BROKEN = new Fault("guest-no-ssh", "no banner", { stage: "banner" });

const FAILING: readonly [string, (house: House) => void][] = [
  ["resolving the image", (house) => house.images.failNext("resolve", BROKEN)],
  ["making the disk", (house) => house.images.failNext("overlay", BROKEN)],
  ["making the seed", (house) => house.guests.failNext("prepare", BROKEN)],
  ["sweeping", (house) => house.hypervisor.failNext("list", BROKEN)],
  ["booting", (house) => house.hypervisor.failNext("boot", BROKEN)],
  ["connecting", (house) => house.guests.failNext("connect", BROKEN)],
  ["sending inputs", (house) => house.guests.failNext("send", BROKEN)],
  ["running a step", (house) => house.guests.failNext("run", BROKEN)],
  ["collecting", (house) => house.guests.failNext("collect", BROKEN)],
];

for (const [doing, arrange] of FAILING) {
  test(`a fault while ${doing} is reported with its blame and stage, and leaves nothing`, async () => {
    await using house = await paperHouse();
    arrange(house);
    const { verdict, leaks } = await house.run({ artifacts: ["/nowhere"] });
    expect(verdict).toMatchObject({
      kind: "broken",
      fault: { code: "guest-no-ssh", blame: "image", retry: "elsewhere", stage: "banner" },
    });
    expect(leaks).toEqual([]);
    await expectClean(house);
  });
}

test("a step's failure stays the verdict when collecting breaks afterwards", async () => {
  await using house = await paperHouse();
  house.guests.failNext("collect", new Fault("guest-unreachable", "gone"));
  const report = await house.run({ steps: [step("one", "exit 3")], artifacts: ["/nowhere"] });
  expect(report.verdict).toMatchObject({ kind: "failed" });
  expect(house.events).toContain("no artifacts: gone");
});

test("what a guest writes on its console does not take the host's own fault back", async () => {
  await using house = await paperHouse();
  house.hypervisor.consoleText = "Kernel panic - not syncing: a job printed this\n";
  house.guests.failNext("run", new Fault("host-disk-full", "full"));
  expect((await house.run({})).verdict).toMatchObject({ fault: { code: "host-disk-full" } });
});

test("an error that nobody expected is a bug, and still leaves nothing", async () => {
  await using house = await paperHouse();
  house.guests.failNext("run", new TypeError("oops"));
  expect((await house.run({})).verdict).toMatchObject({
    kind: "broken",
    fault: { code: "bug", message: "oops" },
  });
  await expectClean(house);
});

test("a write that finds the host's disk full is the host's fault", async () => {
  await using house = await paperHouse();
  house.guests.failNext("run", Object.assign(new Error("write"), { code: "ENOSPC", path: "/x" }));
  expect((await house.run({})).verdict).toMatchObject({
    kind: "broken",
    fault: { code: "host-disk-full" },
  });
});

test("a teardown that fails is a leak and does not change the verdict", async () => {
  await using house = await paperHouse();
  house.hypervisor.failNext("dispose", new Error("libvirt is gone"));
  const report = await house.run({});
  expect(report.verdict).toEqual({ kind: "passed" });
  expect(report.leaks).toEqual(["teardown"]);
  // The machine may stand, so its place is kept for the next sweep, also when the attempt could have been taken up again.
  const { standing } = await sweep(house.state, house.hypervisor, new AbortController().signal);
  expect(standing).toEqual([]);
  await expectClean(house);
});

const ENDS: readonly [string, Fault, string][] = [
  ["is killed", new Fault("machine-crashed", "QEMU died"), "machine-crashed"],
  ["powers itself off", new Fault("guest-powered-off", "off"), "guest-powered-off"],
];

for (const [how, fault, code] of ENDS) {
  test(`a machine that ${how} in a step ends the attempt at once, with its log so far`, async () => {
    await using house = await paperHouse();
    const running = house.run({ steps: [step("long", "echo begun; sleep 60")] });
    await eventually(() => house.events.includes("log begun\n"), 5_000);
    [...house.hypervisor.machines.values()][0]?.end(fault);
    const report = await running;
    expect(report.verdict).toMatchObject({ kind: "broken", fault: { code } });
    expect(outcomes(report)).toEqual(["long lost"]);
    expect(await readFile(join(house.results, "steps/01-long.log"), "utf8")).toBe("begun\n");
    await expectClean(house);
  });
}

test("a guest that powers itself off while it boots is its image's doing", async () => {
  await using house = await paperHouse();
  house.guests.hangNext("connect");
  const running = house.run({});
  await eventually(() => house.hypervisor.machines.size === 1, 5_000);
  [...house.hypervisor.machines.values()][0]?.end(new Fault("guest-powered-off", "off"));
  expect((await running).verdict).toMatchObject({
    kind: "broken",
    fault: { code: "image-powered-off", blame: "image", stage: "connecting" },
  });
  expect(existsSync(join(house.results, "screenshot.png"))).toBe(false);
});

test("a lost guest whose console shows a panic has panicked", async () => {
  await using house = await paperHouse();
  house.hypervisor.consoleText = "Linux version 6.1\nKernel panic - not syncing: sysrq\nCPU: 0\n";
  house.guests.failNext("run", new Fault("guest-unreachable", "silence"));
  const { verdict } = await house.run({});
  expect(verdict).toMatchObject({
    kind: "broken",
    fault: { code: "guest-panicked", message: expect.stringContaining("not syncing: sysrq") },
  });
});

test("a machine that breaks while it boots leaves a picture of its screen", async () => {
  await using house = await paperHouse();
  house.guests.failNext("connect", BROKEN);
  await house.run({});
  expect(existsSync(join(house.results, "screenshot.png"))).toBe(true);
});

test("a kept machine stays with what is needed to enter it", async () => {
  await using house = await paperHouse();
  const report = await house.run({}, { keep: true });
  const name = report.kept?.name ?? "no name";
  expect(house.hypervisor.machines.has(name)).toBe(true);
  const folder = join(house.state.path, "machines", name);
  expect(await readFile(join(folder, "ssh_config"), "utf8")).toContain("HostName fe80::1%%fake0");
  expect(await readdir(folder)).toEqual(
    expect.arrayContaining(["id_ed25519", "known_hosts", "machine.json"]),
  );
});

test("the image is held while its machine stands, and by nobody afterwards", async () => {
  await using house = await paperHouse();
  const held: number[] = [];
  const settle = async () => void held.push(house.images.held.length);
  const report = await house.run({}, { journal: { ...NO_JOURNAL, settle } });
  expect(report.verdict).toEqual({ kind: "passed" });
  expect(held).toEqual([1]);
  expect(house.images.held).toEqual([]);
});

test("an image that is pruned between being found and being held is found again", async () => {
  await using house = await paperHouse();
  house.images.missNextHolds(2);
  expect((await house.run({})).verdict).toEqual({ kind: "passed" });
  house.images.missNextHolds(3);
  expect((await house.run({})).verdict).toMatchObject({ fault: { code: "image-damaged" } });
});

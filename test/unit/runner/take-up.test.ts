import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { writeAccess } from "#host/runner/access-file.ts";
import { admit } from "#host/runner/admission.ts";
import { type Entry, type Journal, NO_JOURNAL, type Past, pastOf } from "#host/runner/journal.ts";
import { Fault } from "#job/fault.ts";
import type { Phase } from "#job/phase.ts";
import { Ended } from "#job/verdict.ts";
import { FileLock } from "#lib/file-lock.ts";
import { uptimeMs } from "#lib/host-boot.ts";
import { PAPER_IMAGE } from "#test/kit/orders.ts";
import { paperHouse, step } from "#test/kit/paper-house.ts";

type House = Awaited<ReturnType<typeof paperHouse>>;

const JOB = "0123456789abcdef";
const WAY: readonly Phase[] = ["leased", "preparing", "booting", "connecting", "running"];
const AWAY = () => new Fault("libvirt-unreachable", "libvirt does not answer");

async function open(): Promise<House> {
  const house = await paperHouse();
  onTestFinished(() => house[Symbol.asyncDispose]());
  return house;
}

function journalOf(past: Past): Journal & { readonly noted: Entry[] } {
  const noted: Entry[] = [];
  return {
    past,
    noted,
    note: async (entry) => void noted.push(entry),
    settle: async () => undefined,
  };
}

/** What an attempt noted that was in a phase when its process died, `secondsAgo` after it was leased. */
function entriesUpTo(phase: Phase, secondsAgo = 5): Entry[] {
  const atMs = uptimeMs() - secondsAgo * 1000;
  const phases = WAY.slice(0, WAY.indexOf(phase) + 1);
  const machine = { name: "of no account", memoryMiB: 256, cpus: 1 };
  const place = { address: "fe80::1%fake0", bootId: "of no account" };
  return [
    ...phases.map((one) => ({ entry: "phase", phase: one, atMs }) as const),
    { entry: "machine", image: PAPER_IMAGE, acceleration: "tcg", machine },
    ...(phase === "running" ? [{ entry: "guest", place } as const] : []),
  ];
}

/** A machine of this attempt as a process that died leaves it: running, with its folder, and nobody in it. */
async function leftMachine(house: House): Promise<void> {
  const { state, hypervisor, guests } = house;
  const signal = new AbortController().signal;
  const identity = { installation: state.installation, job: JOB, attempt: 1 };
  const need = { identity, memoryMiB: 256, isResumable: true };
  const place = await admit({ state, hypervisor }, need, () => undefined, signal);
  const { folder, record } = place;
  const { name, slot } = record;
  const image = PAPER_IMAGE;
  const access = await guests.prepare({ folder, identity, name, image, curfewSeconds: 1 }, signal);
  await writeAccess(folder, access);
  const paths = { folder, diskPath: join(folder, "disk"), seedPath: access.seedPath };
  const size = { cpus: 1, memoryMiB: 256, acceleration: "tcg" } as const;
  await hypervisor.boot({ identity, name, slot, image, ...paths, ...size }, signal);
  await place.leaveToSweep();
  await place[Symbol.asyncDispose]();
}

async function expectClean(house: House): Promise<void> {
  expect([...house.hypervisor.machines.keys()]).toEqual([]);
  expect(await readdir(join(house.state.path, "machines"))).toEqual([]);
}

test("an attempt of an earlier boot of the host is lost, with what is known of it, and what is left of its machine goes", async () => {
  const house = await open();
  await leftMachine(house);
  house.hypervisor.rebootHost();
  const entries = entriesUpTo("running");
  const atMs = uptimeMs();
  const result = { ...lineOf("one"), outcome: "passed", exitCode: 0 } as const;
  const past = pastOf(
    [
      ...entries,
      { entry: "step-begins", number: 1, atMs },
      { entry: "step-ends", number: 1, result },
      { entry: "step-begins", number: 2, atMs },
    ],
    true,
  );
  const steps = [step("one", "true"), step("two", "true"), step("three", "true")];
  const report = await house.run({ steps }, { journal: journalOf(past), isResumable: true });
  expect(report.verdict).toMatchObject({ kind: "broken", fault: { code: "host-restarted" } });
  expect(report.steps.map(({ outcome }) => outcome)).toEqual(["passed", "lost", "skipped"]);
  expect(report.image).toMatchObject({ name: "paper" });
  await expectClean(house);
});

const lineOf = (name: string) => ({ name, durationMs: 1, logBytes: 0, cutBytes: 0 });

test("a machine that is there is taken up: nothing is booted, and the attempt goes on", async () => {
  const house = await open();
  await leftMachine(house);
  house.hypervisor.failNext("boot", new Error("nothing is to be booted"));
  const journal = journalOf(pastOf(entriesUpTo("connecting"), false));
  const report = await house.run({}, { journal, isResumable: true });
  expect(report.verdict).toEqual({ kind: "passed" });
  expect(house.events).toContain("taken up in connecting");
  expect(journal.noted.map(({ entry }) => entry)).toEqual([
    "guest",
    "phase",
    "step-begins",
    "step-ends",
    "phase",
    "verdict",
  ]);
  await expectClean(house);
});

test("a machine is taken up although somebody who sweeps looks at its lock just then", async () => {
  const house = await open();
  await leftMachine(house);
  const [name = ""] = house.hypervisor.machines.keys();
  const lock = FileLock.tryTake(join(house.state.path, "machines", name, "lock"));
  setTimeout(() => lock?.[Symbol.dispose](), 100);
  const journal = journalOf(pastOf(entriesUpTo("connecting"), false));
  const report = await house.run({}, { journal, isResumable: true });
  expect(report.verdict).toEqual({ kind: "passed" });
  await expectClean(house);
});

test("a machine that nobody has heard of is begun again while booting, and missed later", async () => {
  const house = await open();
  const booting = journalOf(pastOf(entriesUpTo("booting"), false));
  expect((await house.run({}, { journal: booting })).verdict).toEqual({ kind: "passed" });
  const other = await open();
  const running = journalOf(pastOf(entriesUpTo("running"), false));
  expect((await other.run({}, { journal: running })).verdict).toMatchObject({
    kind: "broken",
    fault: { code: "machine-crashed" },
  });
  await expectClean(other);
});

test("no step begins after the deadline, whoever was away until then", async () => {
  const house = await open();
  await leftMachine(house);
  const journal = journalOf(pastOf(entriesUpTo("connecting", 60), false));
  const mark = join(house.results, "..", "mark");
  const steps = [step("late", `echo >${mark}`)];
  const report = await house.run({ steps, timeoutSeconds: 30 }, { journal });
  expect(report.verdict).toMatchObject({ kind: "timed-out" });
  expect(report.steps.map(({ outcome }) => outcome)).toEqual(["skipped"]);
  await expect(readFile(mark)).rejects.toThrow("ENOENT");
  await expectClean(house);
});

for (const [secondsAgo, code] of [
  [100, "guest-powered-off"],
  [160, "host-restarted"],
] as const) {
  test(`a guest found switched off ${secondsAgo} s after the lease of a job of 30 s: ${code}`, async () => {
    const house = await open();
    await leftMachine(house);
    const [machine] = house.hypervisor.machines.values();
    machine?.end(new Fault("guest-powered-off", "the guest powered itself off"));
    const journal = journalOf(pastOf(entriesUpTo("running", secondsAgo), false));
    const report = await house.run({ timeoutSeconds: 30 }, { journal });
    expect(report.verdict).toMatchObject({ kind: "broken", fault: { code } });
    await expectClean(house);
  });
}

test("an ending that was decided stays, also when nothing is left of the machine", async () => {
  const house = await open();
  const verdict = { kind: "cancelled", why: "not needed" } as const;
  const entries = [...entriesUpTo("running"), { entry: "verdict", verdict } as const];
  const report = await house.run({}, { journal: journalOf(pastOf(entries, false)) });
  expect(report.verdict).toEqual(verdict);
});

test("a cancel that comes when the verdict is noted leaves it the journal's last word", async () => {
  const house = await open();
  const cancel = new AbortController();
  const journal = journalOf(pastOf([], false));
  const note = async (entry: Entry) => {
    await journal.note(entry);
    if (entry.entry === "verdict") cancel.abort(new Ended("cancelled", "too late"));
  };
  const report = await house.run({}, { journal: { ...journal, note }, signal: cancel.signal });
  expect(report.verdict).toEqual({ kind: "passed" });
  expect(journal.noted.filter(({ entry }) => entry === "verdict")).toEqual([
    { entry: "verdict", verdict: { kind: "passed" } },
  ]);
});

for (const verb of ["list", "boot"] as const) {
  test(`a libvirt that is away at ${verb} is waited for, as long as the order says`, async () => {
    const house = await open();
    house.hypervisor.failNext(verb, AWAY());
    const patient = { isResumable: true, libvirtPatienceSeconds: 10 };
    expect((await house.run({}, patient)).verdict).toEqual({ kind: "passed" });
    expect(house.events.filter((line) => line.startsWith("waiting for libvirt"))).toHaveLength(1);
    house.hypervisor.failNext(verb, AWAY());
    const impatient = await house.run({});
    expect(impatient.verdict).toMatchObject({ fault: { code: "libvirt-unreachable" } });
    await expectClean(house);
  });
}

test("a machine that was started although libvirt's answer was lost is taken as it is", async () => {
  const house = await open();
  const { hypervisor } = house;
  const boot = hypervisor.boot.bind(hypervisor);
  let boots = 0;
  hypervisor.boot = async (order, signal) => {
    boots += 1;
    await boot(order, signal);
    throw AWAY();
  };
  const report = await house.run({}, { libvirtPatienceSeconds: 10 });
  expect(report.verdict).toEqual({ kind: "passed" });
  expect(boots).toBe(1);
  await expectClean(house);
});

test("a machine that died with the libvirtd that was starting it is started again", async () => {
  const house = await open();
  const { hypervisor } = house;
  const boot = hypervisor.boot.bind(hypervisor);
  let boots = 0;
  hypervisor.boot = async (order, signal) => {
    boots += 1;
    const machine = await boot(order, signal);
    if (boots > 1) return machine;
    hypervisor.machines.get(order.name)?.end(new Fault("machine-crashed", "QEMU died"));
    throw AWAY();
  };
  const report = await house.run({}, { libvirtPatienceSeconds: 10 });
  expect(report.verdict).toEqual({ kind: "passed" });
  expect(boots).toBe(2);
  await expectClean(house);
});

test("a machine that ended while it was booted and nobody was there is begun again; one that was connected to is not", async () => {
  for (const [phase, kind] of [
    ["booting", "passed"],
    ["connecting", "broken"],
  ] as const) {
    const house = await open();
    await leftMachine(house);
    for (const machine of house.hypervisor.machines.values())
      machine.end(new Fault("machine-crashed", "QEMU died"));
    const journal = journalOf(pastOf(entriesUpTo(phase), false));
    const report = await house.run({}, { journal, isResumable: true });
    expect(report.verdict).toMatchObject({ kind });
    await expectClean(house);
  }
});

test("an attempt that was cancelled while nobody was there takes its machine up, and down", async () => {
  const house = await open();
  await leftMachine(house);
  const signal = AbortSignal.abort(new Ended("cancelled", "not needed"));
  const journal = journalOf(pastOf(entriesUpTo("connecting"), false));
  const report = await house.run({}, { journal, signal });
  expect(report.verdict).toEqual({ kind: "cancelled", why: "not needed" });
  expect(report.leaks).toEqual([]);
  await expectClean(house);
});

test("a step that the guest ended for its attempt's time is told from one over its own limit, whenever it is looked at", async () => {
  for (const [limit, why] of [
    [20, "step 'one' took longer than its 20 s"],
    [40, "the attempt took longer than its 30 s, in step 'one'"],
  ] as const) {
    const house = await open();
    await leftMachine(house);
    const atMs = uptimeMs() - 5_000;
    const result = { ...lineOf("one"), outcome: "timed-out", durationMs: 900_000 } as const;
    const past = pastOf(
      [
        ...entriesUpTo("connecting"),
        { entry: "step-begins", number: 1, atMs },
        { entry: "step-ends", number: 1, result },
      ],
      false,
    );
    const steps = [step("one", "true", { timeoutSeconds: limit })];
    const report = await house.run({ steps, timeoutSeconds: 30 }, { journal: journalOf(past) });
    expect(report.verdict).toEqual({ kind: "timed-out", why });
  }
});

test("an attempt that is taken up holds its image again", async () => {
  const house = await open();
  await leftMachine(house);
  const settle = async () => expect(house.images.held).toEqual([PAPER_IMAGE.digest]);
  const past = pastOf(entriesUpTo("connecting"), false);
  await house.run({}, { journal: { ...NO_JOURNAL, past, settle } });
});

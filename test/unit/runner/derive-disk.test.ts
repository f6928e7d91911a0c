import { existsSync } from "node:fs";
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { deriveDisk } from "#host/runner/derive-disk.ts";
import type { DeriveOrder } from "#host/runner/ports.ts";
import { Fault } from "#job/fault.ts";
import { Ended } from "#job/verdict.ts";
import { eventually } from "#test/kit/eventually.ts";
import { paperHouse, paperSpec, step } from "#test/kit/paper-house.ts";

/** A house of paper, and a machine of it that is at work for an image. */
async function derivingHouse() {
  const house = await paperHouse();
  const folder = join(house.results, "machine");
  await mkdir(folder);
  const told: string[] = [];
  const ask = (more: Partial<DeriveOrder> = {}, signal = new AbortController().signal) =>
    deriveDisk(
      house,
      "tcg",
      {
        spec: { ...paperSpec(), steps: [step("install", "echo installing")] },
        folder,
        onStage: (stage) => told.push(stage),
        onProgress: () => undefined,
        onFrozen: async (path) => {
          told.push(existsSync(path) ? "has the disk" : "has no disk");
        },
        ...more,
      },
      signal,
    );
  const faultOf = (more: Partial<DeriveOrder> = {}) =>
    ask(more).then(() => expect.unreachable("it was derived"), Fault.from);
  return {
    ...house,
    told,
    ask,
    faultOf,
    [Symbol.asyncDispose]: () => house[Symbol.asyncDispose](),
  };
}

type House = Awaited<ReturnType<typeof derivingHouse>>;

async function expectClean(house: House): Promise<void> {
  expect([...house.hypervisor.machines.keys()]).toEqual([]);
  expect(await readdir(join(house.state.path, "machines"))).toEqual([]);
}

test("the disk is handed over when the steps have passed and the machine is off, and then nothing is left", async () => {
  await using house = await derivingHouse();
  let isOff: boolean | undefined;
  const onFrozen = async () => {
    isOff = [...house.hypervisor.machines.values()].every(({ ended }) => ended.aborted);
    house.told.push("has the disk");
  };
  await house.ask({ onFrozen });
  expect(isOff).toBe(true);
  expect(house.told).toEqual(["start a machine", "boot", "install", "power off", "has the disk"]);
  await expectClean(house);
});

test("a step that fails is the build's failure, with its name and its last words, and no disk is handed over", async () => {
  await using house = await derivingHouse();
  const steps = [step("install", "echo no such package; exit 7"), step("more", "true")];
  const fault = await house.faultOf({ spec: { ...paperSpec(), steps } });
  expect(fault).toMatchObject({
    code: "image-build-failed",
    stage: "install",
    message: "step 'install' exited with status 7: no such package",
    evidence: { log: "no such package\n" },
  });
  expect(house.told).not.toContain("has the disk");
  await expectClean(house);
});

test("a step over its limit is the build's failure too", async () => {
  await using house = await derivingHouse();
  const steps = [step("slow", "sleep 60", { timeoutSeconds: 1 })];
  const fault = await house.faultOf({ spec: { ...paperSpec(), steps } });
  expect(fault).toMatchObject({ code: "image-build-failed", stage: "slow" });
});

const ENDS: readonly [string, Fault, string][] = [
  ["dies keeps its own fault", new Fault("machine-crashed", "QEMU died"), "machine-crashed"],
  [
    "powers itself off has failed",
    new Fault("guest-powered-off", "it powered off"),
    "image-build-failed",
  ],
];

for (const [how, fault, code] of ENDS) {
  test(`a machine that ${how} when that happens in a step`, async () => {
    await using house = await derivingHouse();
    const steps = [step("long", "echo begun; sleep 60")];
    const failed = house.faultOf({ spec: { ...paperSpec(), steps } });
    await eventually(() => house.told.includes("long"), 5_000);
    for (const machine of house.hypervisor.machines.values()) machine.end(fault);
    expect(await failed).toMatchObject({ code, message: fault.message, stage: "long" });
    expect(house.told).not.toContain("has the disk");
    await expectClean(house);
  });
}

test("a machine that does not end by powering itself off hands over no disk", async () => {
  await using house = await derivingHouse();
  const crash = new Fault("machine-crashed", "QEMU died");
  house.guests.onPowerOff = (name) => house.hypervisor.machines.get(name)?.end(crash);
  expect(await house.faultOf()).toMatchObject({ code: "machine-crashed" });
  expect(house.told).not.toContain("has the disk");
  await expectClean(house);
});

test("a guest that does not power itself off can be given up", async () => {
  await using house = await derivingHouse();
  house.guests.onPowerOff = () => undefined;
  const cancel = new AbortController();
  const reason = new Ended("cancelled", "Ctrl-C");
  const asked = house.ask({}, cancel.signal);
  await eventually(() => house.told.includes("power off"), 5_000);
  cancel.abort(reason);
  await expect(asked).rejects.toBe(reason);
  expect(house.told).not.toContain("has the disk");
  await expectClean(house);
});

test("what goes wrong with the disk is told as that, and not as the machine's end", async () => {
  await using house = await derivingHouse();
  const onFrozen = async () => {
    throw new Fault("host-disk-full", "no space", { stage: "flatten" });
  };
  const fault = await house.faultOf({ onFrozen });
  expect(fault).toMatchObject({ code: "host-disk-full", stage: "flatten", message: "no space" });
  await expectClean(house);
});

test("a cancel while the disk is looked at ends it, and nothing is left", async () => {
  await using house = await derivingHouse();
  const cancel = new AbortController();
  const reason = new Ended("cancelled", "Ctrl-C");
  const onFrozen = async (_path: string, signal: AbortSignal) => {
    cancel.abort(reason);
    signal.throwIfAborted();
  };
  await expect(house.ask({ onFrozen }, cancel.signal)).rejects.toBe(reason);
  await expectClean(house);
});

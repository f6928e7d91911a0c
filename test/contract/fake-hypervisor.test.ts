import { join } from "node:path";
import { expect, test } from "vitest";
import { Fault } from "#job/fault.ts";
import { FakeHypervisor } from "#test/fakes/fake-hypervisor.ts";
import { machineOrder } from "#test/kit/orders.ts";
import { scratchFolder } from "#test/kit/scratch.ts";
import { describeHypervisor } from "./hypervisor.contract.ts";

describeHypervisor("the fake hypervisor", async () => {
  const folder = await scratchFolder();
  let count = 0;
  const hypervisor = new FakeHypervisor();
  return {
    hypervisor,
    another: () => hypervisor,
    crash: async (name) =>
      hypervisor.machines.get(name)?.end(new Fault("machine-crashed", "QEMU died")),
    order: async (installation, slot = 0) => {
      count += 1;
      return await machineOrder(
        { path: join(folder.path, "state"), installation },
        `job-${count}`,
        slot,
      );
    },
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
});

test("after a reboot of the fake host its machines are listed and cannot be adopted", async () => {
  await using folder = await scratchFolder();
  const installation = "0123456789abcdef0123456789abcdef";
  const hypervisor = new FakeHypervisor();
  const order = await machineOrder({ path: folder.path, installation }, "job");
  const signal = AbortSignal.timeout(5_000);
  const machine = await hypervisor.boot(order, signal);
  hypervisor.rebootHost();
  expect(await hypervisor.adopt({ ...order, startedAtMs: 0 }, signal)).toBeUndefined();
  expect(await hypervisor.list(installation)).toEqual([order.name]);
  expect(machine.ended.aborted).toBe(false);
  await hypervisor.remove(installation, order.name);
  expect(await hypervisor.list(installation)).toEqual([]);
});

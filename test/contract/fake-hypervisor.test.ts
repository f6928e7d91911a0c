import { join } from "node:path";
import { FakeHypervisor } from "#test/fakes/fake-hypervisor.ts";
import { machineOrder } from "#test/kit/orders.ts";
import { scratchFolder } from "#test/kit/scratch.ts";
import { describeHypervisor } from "./hypervisor.contract.ts";

describeHypervisor("the fake hypervisor", async () => {
  const folder = await scratchFolder();
  let count = 0;
  return {
    hypervisor: new FakeHypervisor(),
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

import { join } from "node:path";
import { expect, test } from "vitest";
import { blame } from "#host/runner/blame.ts";
import { Fault, type FaultCode } from "#job/fault.ts";
import type { Phase } from "#job/phase.ts";
import { FakeHypervisor, type FakeMachine } from "#test/fakes/fake-hypervisor.ts";
import { machineOrder } from "#test/kit/orders.ts";
import { scratchFolder } from "#test/kit/scratch.ts";

async function blamed(phase: Phase, code: FaultCode, arrange: (machine: FakeMachine) => void) {
  await using folder = await scratchFolder();
  const state = { path: join(folder.path, "state"), installation: "0".repeat(32) };
  const hypervisor = new FakeHypervisor();
  const order = await machineOrder(state, "job");
  await hypervisor.boot(order, AbortSignal.timeout(5_000));
  const machine = hypervisor.machines.get(order.name) ?? expect.fail();
  arrange(machine);
  return await blame(new Fault(code, "silence"), phase, machine);
}

const hang = (machine: FakeMachine) => machine.hang();

test.each([
  ["running", "guest-unreachable"],
  ["connecting", "image-unbootable"],
  ["connecting", "guest-no-ssh"],
  ["connecting", "guest-not-settled"],
] as const)("a QEMU that hangs explains, while %s, what looked like %s", async (phase, code) => {
  const fault = await blamed(phase, code, hang);
  expect(fault).toMatchObject({ code: "machine-hung", blame: "host", cause: { cause: { code } } });
});

test("what a guest that answers did is not explained by its QEMU", async () => {
  expect(await blamed("running", "guest-sshd-gone", hang)).toMatchObject({
    code: "guest-sshd-gone",
  });
  const answers = () => undefined;
  expect(await blamed("running", "guest-unreachable", answers)).toMatchObject({
    code: "guest-unreachable",
  });
});

test("a machine that ended is told by its end, though it hung before", async () => {
  const fault = await blamed("running", "guest-unreachable", (machine) => {
    machine.hang();
    machine.end(new Fault("machine-crashed", "killed"));
  });
  expect(fault).toMatchObject({ code: "machine-crashed" });
});

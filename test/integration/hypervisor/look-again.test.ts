import { expect, test } from "vitest";
import { LibvirtMachine } from "#host/hypervisor/libvirt-machine.ts";
import { slotNetwork } from "#host/hypervisor/slot-network.ts";
import { machineUuid } from "#job/machine-name.ts";
import { connectLibvirt } from "#libvirt/client.ts";
import { FakeLibvirtServer } from "#test/fakes/libvirt-server.ts";
import { eventually } from "#test/kit/eventually.ts";
import { machineOrder } from "#test/kit/orders.ts";
import { scratchFolder } from "#test/kit/scratch.ts";

/** Numbers of libvirt's states and their reasons: running, booted; shut off, crashed. */
const RUNNING = { state: 1, reason: 1 };
const CRASHED = { state: 5, reason: 3 };

/** A daemon that answers each question for a machine's state with the next of its answers, and parts for objects of the machine. */
async function daemonSaying(answers: (typeof RUNNING)[]) {
  const folder = await scratchFolder();
  const server = await FakeLibvirtServer.listen();
  let asked = 0;
  server.on("domainGetState", (call) => {
    call.reply(answers[Math.min(asked, answers.length - 1)] ?? CRASHED);
    asked += 1;
  });
  const libvirt = await connectLibvirt(server.uri);
  const installation = "0".repeat(32);
  const order = await machineOrder({ path: folder.path, installation }, "job");
  return {
    asked: () => asked,
    parts: {
      libvirt,
      domain: { name: order.name, uuid: machineUuid(order.identity), id: 1 },
      order: { ...order, startedAtMs: 0 },
      network: slotNetwork(installation, 0, 0),
      open: () => connectLibvirt(server.uri),
      onDisposed: () => undefined,
    },
    [Symbol.asyncDispose]: async () => {
      await libvirt[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

test("a machine that libvirt finds dead only after it has answered, without an event, is known to be dead all the same", async () => {
  await using daemon = await daemonSaying([RUNNING, RUNNING, CRASHED]);
  const machine = new LibvirtMachine(daemon.parts);
  machine.lookAgain();
  machine.lookAgain();
  await eventually(() => machine.ended.aborted, 5_000);
  expect(machine.ended.reason).toMatchObject({ code: "machine-crashed" });
  expect(daemon.asked()).toBe(3);
});

test("a machine that was let go is not looked at any more", async () => {
  await using daemon = await daemonSaying([RUNNING, CRASHED]);
  const [older, newer] = [new LibvirtMachine(daemon.parts), new LibvirtMachine(daemon.parts)];
  older.lookAgain();
  await eventually(() => daemon.asked() === 1, 5_000);
  older.letGo();
  newer.lookAgain();
  await eventually(() => newer.ended.aborted, 5_000);
  expect(older.ended.aborted).toBe(false);
});

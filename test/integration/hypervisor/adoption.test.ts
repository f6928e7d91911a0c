import { afterEach, beforeEach, expect, test } from "vitest";
import { eventually } from "#test/kit/eventually.ts";
import { type TestDriverRoom, testDriverRoom } from "#test/kit/test-driver-machines.ts";

let room: TestDriverRoom;
beforeEach(async () => {
  room = await testDriverRoom();
});
afterEach(() => room[Symbol.asyncDispose]());

const state = async (name: string) => {
  const domain = (await room.libvirt.domains.lookupByName(name)) ?? expect.fail(`no ${name}`);
  return (await room.libvirt.domains.state(domain)).state;
};

test("a machine that runs is adopted, and hears how it ends", async () => {
  const { hypervisor, libvirt, inTime } = room;
  const { order, domain } = await room.machine("runs");
  const running = await libvirt.domains.create(domain);
  const machine = (await hypervisor.adopt(order, inTime())) ?? expect.fail();
  expect(machine.ended.aborted).toBe(false);
  await libvirt.domains.destroy(running);
  await eventually(() => machine.ended.aborted, 5_000);
  expect(machine.ended.reason).toMatchObject({ code: "machine-destroyed" });
});

test("one that somebody destroyed before is adopted as ended, with that", async () => {
  const { hypervisor, libvirt, inTime } = room;
  const { order, domain } = await room.machine("destroyed");
  await libvirt.domains.destroy(await libvirt.domains.create(domain));
  const machine = await hypervisor.adopt(order, inTime());
  expect(machine?.ended.reason).toMatchObject({ code: "machine-destroyed" });
  await machine?.[Symbol.asyncDispose]();
  expect(await libvirt.domains.lookupByName(order.name)).toBeUndefined();
});

test("one that is defined and was never started is nothing to adopt, stays, and is listed", async () => {
  const { hypervisor, installation, inTime } = room;
  const { order } = await room.machine("never-started");
  expect(await hypervisor.adopt(order, inTime())).toBeUndefined();
  expect(await hypervisor.list(installation, inTime())).toEqual([order.name]);
  expect(await state(order.name)).toBe("shutoff");
});

test("one that somebody suspended is adopted and stays suspended", async () => {
  const { hypervisor, libvirt, inTime } = room;
  const { order, domain } = await room.machine("suspended");
  await libvirt.domains.suspend(await libvirt.domains.create(domain));
  const machine = await hypervisor.adopt(order, inTime());
  expect(machine?.ended.aborted).toBe(false);
  expect(await state(order.name)).toBe("paused");
});

const STRANGERS = {
  "that carries no mark of ours": { metadata: {} },
  "that carries the mark of another installation": {
    metadata: {
      "testbed:owner": {
        "@xmlns:testbed": "urn:testbed:machine:1",
        "@installation": "f".repeat(32),
      },
    },
  },
  "with another UUID": { uuid: "12345678-0000-4000-8000-000000000000" },
} as const;

for (const [what, twist] of Object.entries(STRANGERS)) {
  test(`a domain of our name ${what} is not adopted and not touched`, async () => {
    const { hypervisor, libvirt, inTime } = room;
    const { order, domain } = await room.machine("stranger", twist);
    await libvirt.domains.create(domain);
    expect(await hypervisor.adopt(order, inTime())).toBeUndefined();
    expect(await state(order.name)).toBe("running");
  });
}

test("a machine whose network somebody changed is not adopted, and the fault names the network", async () => {
  const { hypervisor, libvirt, inTime } = room;
  const { order, domain } = await room.machine("altered");
  await libvirt.domains.create(domain);
  const name = "testbed-7e57d41f-0";
  const network = await libvirt.networks.define(
    `<network><name>${name}</name><bridge name='virbr9'/><ip address='10.1.1.1' netmask='255.255.255.0'/></network>`,
  );
  await expect(hypervisor.adopt(order, inTime())).rejects.toMatchObject({
    code: "network-unavailable",
    message: expect.stringContaining(`virsh net-destroy ${name}`),
  });
  expect(await state(order.name)).toBe("running");
  expect(await libvirt.networks.lookupByName(name)).toEqual(network);
});

import { afterEach, beforeEach, expect, test } from "vitest";
import { LibvirtHypervisor } from "#host/hypervisor/libvirt-hypervisor.ts";
import { removeDomain } from "#host/hypervisor/remove-domain.ts";
import type { AdoptOrder, Machine } from "#host/runner/ports.ts";
import { connectLibvirt } from "#libvirt/client.ts";
import { eventually } from "#test/kit/eventually.ts";
import { PAPER_IMAGE } from "#test/kit/orders.ts";
import { type TestDriverRoom, testDriverRoom } from "#test/kit/test-driver-machines.ts";

/** No call but the start of a machine keeps anybody longer, however libvirt is; and a second for a busy host. */
const CALL_MS = 15_000 + 1_000;

let room: TestDriverRoom;
beforeEach(async () => {
  room = await testDriverRoom();
});
afterEach(() => room[Symbol.asyncDispose]());

const VERBS = ["list", "adopt", "remove", "offersKvm", "boot"];

/** Asks for everything at once, and tells how each call ended and the longest time that one took. */
async function askAll(hypervisor: LibvirtHypervisor, order: AdoptOrder) {
  const { installation, inTime } = room;
  const disks = { image: PAPER_IMAGE, diskPath: "/nowhere/disk", seedPath: "/nowhere/seed" };
  const startMs = performance.now();
  const calls: Promise<unknown>[] = [
    hypervisor.list(installation, inTime()),
    hypervisor.adopt(order, inTime()),
    hypervisor.remove(installation, order.name, inTime()),
    hypervisor.offersKvm(inTime()),
    hypervisor.boot({ ...order, ...disks, cpus: 1, memoryMiB: 64 }, inTime()),
  ];
  const ends = await Promise.allSettled(calls);
  const codes = ends.map((end) => (end.status === "rejected" ? end.reason.code : "answered"));
  return { codes, tookMs: performance.now() - startMs };
}

const allUnreachable = VERBS.map(() => "libvirt-unreachable");

/** A machine that runs and is held by the hypervisor of the room. */
async function adopted(job: string): Promise<{ order: AdoptOrder; machine: Machine }> {
  const { order, domain } = await room.machine(job);
  await room.libvirt.domains.create(domain);
  const machine = await room.hypervisor.adopt(order, room.inTime());
  return { order, machine: machine ?? expect.fail() };
}

test("a libvirtd that hangs keeps no call longer than its deadline, and is used again, and heard, when it goes on", async () => {
  const { libvirtd, hypervisor, libvirt, installation, inTime } = room;
  const { order, machine } = await adopted("hangs");
  await libvirtd.signal("SIGSTOP");
  // Once with calls that are on their way when it is noticed, and once with calls for which there is no connection.
  for (let round = 0; round < 2; round += 1) {
    const { codes, tookMs } = await askAll(hypervisor, order);
    expect(codes).toEqual(allUnreachable);
    expect(tookMs).toBeLessThan(CALL_MS);
  }
  expect(machine.ended.aborted).toBe(false);
  await libvirtd.signal("SIGCONT");
  await eventually(async () => {
    const names: readonly string[] = await hypervisor.list(installation, inTime()).catch(() => []);
    return names.includes(order.name);
  }, CALL_MS);
  const again = await hypervisor.adopt(order, inTime());
  expect(again?.ended.aborted).toBe(false);
  await libvirt.domains.destroy((await libvirt.domains.lookupByName(order.name)) ?? expect.fail());
  await eventually(() => again?.ended.aborted === true, 5_000);
});

test("a libvirtd that hangs at the first call of all is told in time too, and the same object works later", async () => {
  const { libvirtd, installation, inTime } = room;
  const { order } = await room.machine("first");
  await using fresh = new LibvirtHypervisor(libvirtd.uri);
  await libvirtd.signal("SIGSTOP");
  const { codes, tookMs } = await askAll(fresh, order);
  expect(codes).toEqual(allUnreachable);
  expect(tookMs).toBeLessThan(CALL_MS);
  await libvirtd.signal("SIGCONT");
  await eventually(async () => {
    const names: readonly string[] = await fresh.list(installation, inTime()).catch(() => []);
    return names.includes(order.name);
  }, CALL_MS);
});

test("a libvirtd that is killed fails at once what is under way; its successor is found, and what is missing is noticed", async () => {
  const { libvirtd, hypervisor, installation, inTime } = room;
  const { order, machine } = await adopted("killed");
  await libvirtd.signal("SIGSTOP");
  const asked = hypervisor.list(installation, inTime()).catch((error: unknown) => error);
  const startMs = performance.now();
  await libvirtd.signal("SIGKILL");
  expect(await asked).toMatchObject({ code: "libvirt-unreachable" });
  expect(performance.now() - startMs).toBeLessThan(2_000);
  const waits = hypervisor.list(installation, inTime());
  // The test driver keeps nothing: what the successor does not have was destroyed, for all that anybody can see.
  await libvirtd.restart();
  expect(await waits).toEqual([]);
  await eventually(() => machine.ended.aborted, 5_000);
  expect(machine.ended.reason).toMatchObject({ code: "machine-destroyed" });
  expect(await hypervisor.adopt(order, inTime())).toBeUndefined();
  await hypervisor.remove(installation, order.name, inTime());
});

test("a call that waits for libvirt ends when its attempt does, with the attempt's reason", async () => {
  const { libvirtd, hypervisor, installation } = room;
  await using fresh = new LibvirtHypervisor(libvirtd.uri);
  await libvirtd.signal("SIGSTOP");
  const why = new Error("cancelled");
  for (const one of [hypervisor, fresh]) {
    const cancel = new AbortController();
    const asked = one.list(installation, cancel.signal).catch((error: unknown) => error);
    cancel.abort(why);
    expect(await asked).toBe(why);
  }
  await libvirtd.signal("SIGCONT");
});

test("a domain is removed across a restart of libvirtd, and not waited for for ever", async () => {
  const { libvirtd } = room;
  await using libvirt = await connectLibvirt(libvirtd.uri, { linkTimeoutMs: 200 });
  const { domain } = await room.machine("removed");
  await libvirtd.signal("SIGKILL");
  const startMs = performance.now();
  await expect(removeDomain(libvirt, domain)).rejects.toMatchObject({ trouble: "lost" });
  await expect(removeDomain(libvirt, domain, 500)).rejects.toMatchObject({ trouble: "lost" });
  expect(performance.now() - startMs).toBeGreaterThan(600);
  expect(performance.now() - startMs).toBeLessThan(5_000);
  const removing = removeDomain(libvirt, domain, 10_000);
  await libvirtd.restart();
  await removing;
});

import { execFile } from "node:child_process";
import { connect } from "node:net";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openHostSide } from "#host/hypervisor/firewall.ts";
import { LibvirtHypervisor } from "#host/hypervisor/libvirt-hypervisor.ts";
import { isDeviceThere, isServed } from "#host/hypervisor/network-health.ts";
import { slotNetwork } from "#host/hypervisor/slot-network.ts";
import type { Machine, MachineOrder } from "#host/runner/ports.ts";
import { command } from "#test/kit/command.ts";
import { eventually } from "#test/kit/eventually.ts";
import { OwnLibvirt } from "#test/kit/own-libvirt.ts";
import { qemuPids, signalQemu } from "#test/kit/qemu-processes.ts";
import { realOrder } from "#test/kit/real-orders.ts";

/** An installation that exists only in this test. */
const INSTALLATION = "dead1ab5".repeat(4);

/** How soon a machine that died must be known to have. */
const NOTICED_MS = 5_000;

/** Of the firewall's rules. */
const TABLE = `testbed_${INSTALLATION.slice(0, 8)}`;

const ip = (...args: string[]) => promisify(execFile)("ip", args);
const inTime = () => AbortSignal.timeout(60_000);

let libvirtd: OwnLibvirt;
let hypervisor: LibvirtHypervisor;
beforeEach(async () => {
  libvirtd = await OwnLibvirt.start();
  hypervisor = new LibvirtHypervisor(libvirtd.uri);
});
afterEach(async () => {
  await hypervisor[Symbol.asyncDispose]();
  await libvirtd[Symbol.asyncDispose]();
  await openHostSide(INSTALLATION);
  expect(await qemuPids(`testbed-${INSTALLATION.slice(0, 8)}`)).toEqual([]);
});

async function boot(slot = 0): Promise<{ order: MachineOrder; machine: Machine }> {
  const order = await realOrder(libvirtd.folder, INSTALLATION, slot);
  return { order, machine: await hypervisor.boot(order, inTime()) };
}

test("libvirtd is killed under a machine: what was asked fails, the machine goes on, and the next libvirtd is told of it all", async () => {
  const { order, machine } = await boot();
  await libvirtd.signal("SIGSTOP");
  const asked = hypervisor.list(INSTALLATION, inTime()).catch((error: unknown) => error);
  await libvirtd.kill();
  expect(await asked).toMatchObject({ code: "libvirt-unreachable" });
  expect(await qemuPids(order.name)).toHaveLength(1);
  const before = await machine.console.size();
  await eventually(async () => (await machine.console.size()) > before, 30_000);

  await libvirtd.begin();
  expect(await hypervisor.list(INSTALLATION, inTime())).toEqual([order.name]);
  expect(machine.ended.aborted).toBe(false);
  await using second = (await boot(1)).machine;
  await using later = new LibvirtHypervisor(libvirtd.uri);
  const adopted = await later.adopt({ ...order, startedAtMs: machine.startedAtMs }, inTime());
  expect(await adopted?.evidence()).toMatchObject({ machineState: "running" });
  await signalQemu(order.name, "SIGKILL");
  await eventually(() => machine.ended.aborted && adopted?.ended.aborted === true, NOTICED_MS);
  expect(machine.ended.reason).toMatchObject({ code: "machine-crashed" });
  await later.remove(INSTALLATION, order.name, inTime());
  expect(await hypervisor.list(INSTALLATION, inTime())).toEqual([second.name]);
});

test("a machine that dies while libvirtd is down is known to have, by who held it and by who adopts it", async () => {
  const { order, machine } = await boot();
  await libvirtd.kill();
  await signalQemu(order.name, "SIGKILL");
  await libvirtd.begin();
  await eventually(() => machine.ended.aborted, NOTICED_MS);
  expect(machine.ended.reason).toMatchObject({ code: "machine-crashed" });
  await using later = new LibvirtHypervisor(libvirtd.uri);
  const adopted = await later.adopt({ ...order, startedAtMs: 0 }, inTime());
  expect(adopted?.ended.reason).toMatchObject({ code: "machine-crashed" });
  await adopted?.[Symbol.asyncDispose]();
  expect(await hypervisor.list(INSTALLATION, inTime())).toEqual([]);
});

test("a machine that dies while libvirtd hangs is known to have once libvirtd goes on", async () => {
  const { order, machine } = await boot();
  await libvirtd.signal("SIGSTOP");
  await signalQemu(order.name, "SIGKILL");
  const asked = hypervisor.list(INSTALLATION, inTime());
  await expect(asked).rejects.toMatchObject({ code: "libvirt-unreachable" });
  expect(machine.ended.aborted).toBe(false);
  await libvirtd.signal("SIGCONT");
  await eventually(() => machine.ended.aborted, NOTICED_MS);
  expect(machine.ended.reason).toMatchObject({ code: "machine-crashed" });
});

test("a teardown that finds libvirtd killed waits for the next one, and leaves nothing", async () => {
  const { order, machine } = await boot();
  await libvirtd.kill();
  const teardown = machine[Symbol.asyncDispose]();
  await libvirtd.begin();
  await teardown;
  expect(await qemuPids(order.name)).toEqual([]);
  expect(await hypervisor.list(INSTALLATION, inTime())).toEqual([]);
});

for (const signal of ["SIGKILL", "SIGABRT", "SIGSEGV"] as const) {
  test(`a QEMU process that ends by ${signal} is a crash, within seconds`, async () => {
    const { order, machine } = await boot();
    await signalQemu(order.name, signal);
    await eventually(() => machine.ended.aborted, NOTICED_MS);
    expect(machine.ended.reason).toMatchObject({ code: "machine-crashed" });
    await machine[Symbol.asyncDispose]();
    expect(await hypervisor.list(INSTALLATION, inTime())).toEqual([]);
  });
}

test("a QEMU that hangs is told from a guest that does, and from a libvirtd that does; it is removed in time", async () => {
  const { order, machine } = await boot();
  expect(await machine.isHung()).toBe(false);
  await signalQemu(order.name, "SIGSTOP");
  await using other = (await boot(1)).machine;
  const answers = await Promise.all([machine.isHung(), other.isHung()]);
  expect(answers).toEqual([true, false]);
  expect(await machine.evidence()).toMatchObject({ machineState: "running" });

  // A libvirtd that is started again has to find a machine whose QEMU says nothing, and may not stumble over it.
  await libvirtd.kill();
  expect(await machine.isHung()).toBe(false);
  await libvirtd.begin();
  expect((await hypervisor.list(INSTALLATION, inTime())).length).toBe(2);
  const startMs = performance.now();
  await machine[Symbol.asyncDispose]();
  expect(performance.now() - startMs).toBeLessThan(30_000);
  expect(await hypervisor.list(INSTALLATION, inTime())).toEqual([other.name]);
});

test("a machine without bridge, DHCP server and firewall is adopted with all three, and its guest is reached again", async () => {
  const { order } = await boot();
  const { bridge, ipv4 } = slotNetwork(INSTALLATION, 0, 0);
  await ip("link", "delete", bridge);
  await openHostSide(INSTALLATION);
  await using later = new LibvirtHypervisor(libvirtd.uri);
  const adopted = (await later.adopt({ ...order, startedAtMs: 0 }, inTime())) ?? expect.fail();
  expect(await isDeviceThere(bridge)).toBe(true);
  await eventually(() => isServed(ipv4.host), 5_000);
  expect((await command("nft", ["list", "table", "inet", TABLE])).stdout).toContain("drop");
  const [address] = await adopted.addresses(inTime());
  await eventually(async () => await answers(address ?? ""), 60_000);
});

/** Whether the guest's SSH server takes a connection. */
async function answers(host: string): Promise<boolean> {
  const socket = connect({ host, port: 22, timeout: 1_000 });
  const { promise, resolve } = Promise.withResolvers<boolean>();
  socket.once("connect", () => resolve(true));
  socket.once("timeout", () => resolve(false));
  socket.once("error", () => resolve(false));
  const isAnswered = await promise;
  socket.destroy();
  return isAnswered;
}

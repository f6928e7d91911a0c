import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { afterEach, expect, test } from "vitest";
import { isDeviceThere, isServed } from "#host/hypervisor/network-health.ts";
import { ensureNetwork } from "#host/hypervisor/networks.ts";
import { type SlotNetwork, slotNetwork } from "#host/hypervisor/slot-network.ts";
import { connectLibvirt } from "#libvirt/client.ts";
import { eventually } from "#test/kit/eventually.ts";

/** The system's own libvirtd: its test driver makes no bridges. No machine is started. */
const URI = "qemu:///system";
const INSTALLATION = "0b5e55ed".repeat(4);
const SLOT = 0;
const NEVER = new AbortController().signal;

const ip = (...args: string[]) => promisify(execFile)("ip", args);

async function ensure(): Promise<SlotNetwork> {
  await using libvirt = await connectLibvirt(URI);
  return await ensureNetwork(libvirt, { installation: INSTALLATION, slot: SLOT }, NEVER);
}

async function forget(): Promise<void> {
  await using libvirt = await connectLibvirt(URI);
  const network = await libvirt.networks.lookupByName(slotNetwork(INSTALLATION, SLOT, 0).name);
  if (network === undefined) return;
  if (await libvirt.networks.isActive(network)) await libvirt.networks.destroy(network);
  await libvirt.networks.undefine(network);
}

afterEach(async () => {
  await forget();
  await ip("link", "delete", slotNetwork(INSTALLATION, SLOT, 0).bridge).catch(() => undefined);
});

test("a network is made once, found again, and started when it stands still", async () => {
  const made = await ensure();
  expect(await ensure()).toEqual(made);
  await using libvirt = await connectLibvirt(URI);
  const network = await libvirt.networks.lookupByName(made.name);
  await libvirt.networks.destroy(network ?? expect.fail());
  expect(await ensure()).toEqual(made);
});

test("a bridge that libvirt has forgotten is named, with the command that removes it, which mends it", async () => {
  const { bridge, name, ipv4 } = slotNetwork(INSTALLATION, SLOT, 0);
  await ip("link", "add", bridge, "type", "bridge");
  await ip("address", "add", `${ipv4.host}/30`, "dev", bridge);
  await ip("link", "set", bridge, "up");
  const fault = {
    code: "network-unavailable",
    stage: "network",
    message: expect.stringContaining(`remove it: ip link delete ${bridge}`),
  };
  await expect(ensure()).rejects.toMatchObject(fault);
  await using libvirt = await connectLibvirt(URI);
  expect(await libvirt.networks.lookupByName(name)).toBeUndefined();
  await ip("link", "delete", bridge);
  expect(await ensure()).toMatchObject({ bridge });
});

test("it is named too when libvirt still knows the network, but not that it runs", async () => {
  const { bridge, name } = await ensure();
  await using libvirt = await connectLibvirt(URI);
  const network = await libvirt.networks.lookupByName(name);
  await libvirt.networks.destroy(network ?? expect.fail());
  await ip("link", "add", bridge, "type", "bridge");
  await expect(ensure()).rejects.toThrow(`ip link delete ${bridge}`);
});

test("a bridge that somebody deleted under a running network is made again", async () => {
  const made = await ensure();
  await ip("link", "delete", made.bridge);
  expect(await ensure()).toEqual(made);
  expect(await isDeviceThere(made.bridge)).toBe(true);
});

test("a DHCP server that was killed is started again, and what else runs is left alone", async () => {
  const made = await ensure();
  await eventually(() => isServed(made.ipv4.host), 5_000);
  const first = await serverOf(made.name);
  expect(await ensure()).toEqual(made);
  expect(await serverOf(made.name)).toBe(first);
  process.kill(first, "SIGKILL");
  await eventually(async () => !(await isServed(made.ipv4.host)), 5_000);
  expect(await ensure()).toEqual(made);
  await eventually(() => isServed(made.ipv4.host), 5_000);
  expect(await serverOf(made.name)).not.toBe(first);
});

const CHANGES: Readonly<Record<string, (xml: string) => string>> = {
  "its mode": (xml) => xml.replace(/<forward .*<\/forward>/s, "<forward mode='route'/>"),
  "its bridge": (xml) => xml.replace(slotNetwork(INSTALLATION, SLOT, 0).bridge, "tbelse-0"),
  "its IPv6 address": (xml) => xml.replace(/address='fd[^']*'/, "address='fd00::1'"),
};

for (const [what, change] of Object.entries(CHANGES)) {
  test(`a network of which somebody changed ${what} is refused and not started`, async () => {
    const { name } = await ensure();
    await using libvirt = await connectLibvirt(URI);
    const network = (await libvirt.networks.lookupByName(name)) ?? expect.fail();
    await libvirt.networks.destroy(network);
    const xml = await libvirt.networks.xml(network);
    expect(change(xml)).not.toBe(xml);
    await libvirt.networks.define(change(xml));
    await expect(ensure()).rejects.toMatchObject({
      code: "network-unavailable",
      message: expect.stringContaining(`virsh net-undefine ${name}`),
    });
    expect(await libvirt.networks.isActive(network)).toBe(false);
  });
}

/** The process that serves a network, from libvirt's own note of it. */
async function serverOf(name: string): Promise<number> {
  return Number(await readFile(`/run/libvirt/network/${name}.pid`, "utf8"));
}

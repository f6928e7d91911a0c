import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { afterEach, expect, test } from "vitest";
import { ensureNetwork } from "#host/hypervisor/networks.ts";
import { type SlotNetwork, slotNetwork } from "#host/hypervisor/slot-network.ts";
import { connectLibvirt } from "#libvirt/client.ts";

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

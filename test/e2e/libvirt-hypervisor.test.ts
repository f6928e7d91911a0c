import { chmod, mkdir, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { openHostSide } from "#host/hypervisor/firewall.ts";
import { LibvirtHypervisor } from "#host/hypervisor/libvirt-hypervisor.ts";
import type { MachineOrder } from "#host/runner/ports.ts";
import { connectLibvirt } from "#libvirt/client.ts";
import { describeHypervisor } from "#test/contract/hypervisor.contract.ts";
import { TEST_STATE } from "#test/kit/house.ts";
import { signalQemu } from "#test/kit/qemu-processes.ts";
import { realOrder } from "#test/kit/real-orders.ts";

const URI = "qemu:///system";

describeHypervisor("machines over libvirt, for real", async () => {
  await mkdir(TEST_STATE, { recursive: true });
  const folder = await mkdtemp(join(TEST_STATE, "contract-"));
  // mkdtemp makes it 0700, and QEMU runs as another user.
  await chmod(folder, 0o711);
  const hypervisor = new LibvirtHypervisor(URI);
  const open = [hypervisor];
  const orders: MachineOrder[] = [];
  return {
    hypervisor,
    another: () => {
      const another = new LibvirtHypervisor(URI);
      open.push(another);
      return another;
    },
    crash: async (name) => signalQemu(name, "SIGKILL"),
    order: async (installation, slot = 0) => {
      const order = await realOrder(folder, installation, slot);
      orders.push(order);
      return order;
    },
    [Symbol.asyncDispose]: async () => {
      await removeNetworks(orders);
      for (const one of open) await one[Symbol.asyncDispose]();
      await rm(folder, { recursive: true });
    },
  };
});

/** Slots keep their networks; these slots belong to installations that exist only in this test. */
async function removeNetworks(orders: readonly MachineOrder[]): Promise<void> {
  await using libvirt = await connectLibvirt(URI);
  const slots = new Map(
    orders.map(({ identity, slot }) => [
      `testbed-${identity.installation.slice(0, 8)}-${slot}`,
      identity.installation,
    ]),
  );
  for (const [name, installation] of slots) {
    const network = await libvirt.networks.lookupByName(name);
    if (network === undefined) continue;
    await libvirt.networks.destroy(network);
    await libvirt.networks.undefine(network);
    await openHostSide(installation);
  }
}

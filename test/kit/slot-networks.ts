import { openHostSide } from "#host/hypervisor/firewall.ts";
import { slotNetwork } from "#host/hypervisor/slot-network.ts";
import { connectLibvirt } from "#libvirt/client.ts";

/** Removes the network of a slot, and the firewall of an installation that exists only in a test; slots keep theirs otherwise. */
export async function forgetNetwork(installation: string, slot: number): Promise<void> {
  await using libvirt = await connectLibvirt("qemu:///system");
  const network = await libvirt.networks.lookupByName(slotNetwork(installation, slot, 0).name);
  if (network !== undefined) {
    await libvirt.networks.destroy(network);
    await libvirt.networks.undefine(network);
  }
  await openHostSide(installation);
}

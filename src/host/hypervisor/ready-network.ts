import type { Libvirt } from "#libvirt/client.ts";
import { closeHostSide } from "./firewall.ts";
import { pinNeighbour } from "./guest-addresses.ts";
import { ensureNetwork } from "./networks.ts";
import type { SlotNetwork } from "./slot-network.ts";

/**
 * The slot's network, running, with its host side closed and its guest's address known. Puts right what was lost of it since
 * the last time; twice is safe. Throws network-unavailable, host-tool-missing, libvirt-unreachable.
 */
export async function readyNetwork(
  libvirt: Libvirt,
  { installation, slot }: { installation: string; slot: number },
  signal: AbortSignal,
): Promise<SlotNetwork> {
  const [network] = await Promise.all([
    ensureNetwork(libvirt, { installation, slot }, signal),
    closeHostSide(installation, signal),
  ]);
  await pinNeighbour(network);
  return network;
}

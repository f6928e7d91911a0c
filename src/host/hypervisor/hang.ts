import type { Libvirt } from "#libvirt/client.ts";
import { LibvirtTimeoutError } from "#libvirt/error.ts";
import type { DomainRef } from "#libvirt/protocol-values.ts";

/** How long QEMU's monitor may take for a question that costs it nothing. */
const MONITOR_MS = 5_000;
const LIBVIRT_MS = 3_000;

/**
 * Whether the QEMU behind a domain that libvirt has as running answers libvirt no more: statistics of its disks are asked for,
 * which libvirt has only from QEMU's monitor, and then the state, for which libvirt asks nobody. A libvirt that is silent
 * itself proves nothing. `open` makes a connection for this question alone, since one that is never answered would hold one of
 * the connection's five places until QEMU is dead. Throws what libvirt's calls throw.
 */
export async function isHung(
  open: (timeoutMs: number) => Promise<Libvirt>,
  domain: DomainRef,
): Promise<boolean> {
  await using libvirt = await open(LIBVIRT_MS);
  try {
    await libvirt.domains.stats(["block"], { domains: [domain], timeoutMs: MONITOR_MS });
    return false;
  } catch (error) {
    if (!(error instanceof LibvirtTimeoutError) || !error.maybeDone) throw error;
  }
  const { state } = await libvirt.domains.state(domain, { timeoutMs: LIBVIRT_MS });
  return state === "running";
}

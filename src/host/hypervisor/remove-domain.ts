import type { Libvirt } from "#libvirt/client.ts";
import { LibvirtError } from "#libvirt/error.ts";
import type { DomainRef } from "#libvirt/protocol-values.ts";

/** Destroying a hung QEMU took 10 s; libvirt asks with SIGTERM first, then kills. */
const DESTROY_MS = 30_000;
const UNDEFINE_MS = 10_000;

/** Destroys and undefines a domain. One that is not running, or not there, is fine. Throws when it would not go. */
export async function removeDomain(libvirt: Libvirt, domain: DomainRef): Promise<void> {
  await passing(["VIR_ERR_OPERATION_INVALID", "VIR_ERR_NO_DOMAIN"], () =>
    libvirt.domains.destroy(domain, { timeoutMs: DESTROY_MS }),
  );
  await passing(["VIR_ERR_NO_DOMAIN"], () =>
    libvirt.domains.undefine(domain, { timeoutMs: UNDEFINE_MS }),
  );
}

async function passing(codes: readonly string[], work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (error instanceof LibvirtError && codes.includes(error.codeName)) return;
    throw error;
  }
}

import type { Libvirt } from "#libvirt/client.ts";
import { LibvirtConnectionError, LibvirtError, LibvirtTimeoutError } from "#libvirt/error.ts";
import type { DomainRef } from "#libvirt/protocol-values.ts";

/** Destroying a hung QEMU took 12 s; libvirt asks with SIGTERM first, then kills. */
const DESTROY_MS = 30_000;
const UNDEFINE_MS = 10_000;

/** How long a teardown waits for a libvirt that went away, as by an upgrade: a start took it 3 s, with a machine to find again. */
export const AWAY_MS = 30_000;

/**
 * Destroys and undefines a domain. One that is not running, or not there, is fine. While libvirt is away it is waited for,
 * `patienceMs` from now on. Throws when the domain would not go.
 */
export async function removeDomain(
  libvirt: Libvirt,
  domain: DomainRef,
  patienceMs = 0,
): Promise<void> {
  const endMs = performance.now() + patienceMs;
  for (;;) {
    try {
      return await remove(libvirt, domain);
    } catch (error) {
      // Done halfway or not at all: the same again is safe. The call itself waits until there is a connection, so this never spins.
      if (!isAway(error) || performance.now() >= endMs) throw error;
    }
  }
}

async function remove(libvirt: Libvirt, domain: DomainRef): Promise<void> {
  await passing(["VIR_ERR_OPERATION_INVALID", "VIR_ERR_NO_DOMAIN"], () =>
    libvirt.domains.destroy(domain, { timeoutMs: DESTROY_MS }),
  );
  await passing(["VIR_ERR_NO_DOMAIN"], () => undefine(libvirt, domain));
}

/**
 * A domain with firmware variables is undefined only by who says what becomes of them. They are left to go with the machine's
 * folder, so that libvirt removes no file as root. Other drivers than QEMU's know no such flag, so it is not set for all.
 */
async function undefine(libvirt: Libvirt, domain: DomainRef): Promise<void> {
  try {
    await libvirt.domains.undefine(domain, { timeoutMs: UNDEFINE_MS });
  } catch (error) {
    if (!isCode(error, ["VIR_ERR_OPERATION_INVALID"])) throw error;
    await libvirt.domains.undefine(domain, { timeoutMs: UNDEFINE_MS, keepNvram: true });
  }
}

function isAway(error: unknown): boolean {
  if (error instanceof LibvirtTimeoutError) return !error.maybeDone;
  return error instanceof LibvirtConnectionError && ["lost", "protocol"].includes(error.trouble);
}

async function passing(codes: readonly string[], work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!isCode(error, codes)) throw error;
  }
}

function isCode(error: unknown, codes: readonly string[]): boolean {
  return error instanceof LibvirtError && codes.includes(error.codeName);
}

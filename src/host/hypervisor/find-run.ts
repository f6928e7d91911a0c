import type { AdoptOrder } from "#host/runner/ports.ts";
import { machineUuid } from "#job/machine-name.ts";
import type { Libvirt } from "#libvirt/client.ts";
import { LibvirtError } from "#libvirt/error.ts";
import type { DomainRef } from "#libvirt/protocol-values.ts";
import { translating } from "./libvirt-fault.ts";
import { stopOfState } from "./machine-end.ts";
import { isOurs } from "./ownership.ts";

/** A machine that was started, and whether it is over. */
export type FoundRun = { readonly domain: DomainRef; readonly isOver: boolean };

/**
 * The machine of an attempt as libvirt has it, started by whatever process of this installation. Undefined when there is
 * none that is provably this attempt's, or one of which libvirt knows no run. Throws libvirt-unreachable.
 */
export async function findRun(
  libvirt: Libvirt,
  { name, identity }: Pick<AdoptOrder, "name" | "identity">,
  signal: AbortSignal,
): Promise<FoundRun | undefined> {
  const context = { doing: `to show ${name}`, refused: "libvirt-unreachable", signal } as const;
  return await translating(context, async () => {
    const domain = await libvirt.domains.lookupByName(name, { signal });
    if (domain?.uuid !== machineUuid(identity)) return undefined;
    if (!(await isOursNow(libvirt, domain, identity.installation, signal))) return undefined;
    const status = await unlessGone(libvirt.domains.state(domain, { signal }));
    if (status === undefined) return undefined;
    // libvirt keeps no record of a run that was over before it was itself started again, as by a reboot of the host.
    if (status.state === "shutoff" && status.reason === "unknown") return undefined;
    return { domain, isOver: stopOfState(status.state, status.reason) !== undefined };
  });
}

/** Whether a domain is provably an installation's; one that went away since it was listed is nobody's. */
export async function isOursNow(
  libvirt: Libvirt,
  domain: DomainRef,
  installation: string,
  signal: AbortSignal,
): Promise<boolean> {
  const xml = await unlessGone(libvirt.domains.xml(domain, { signal }));
  return xml !== undefined && isOurs(domain.name, xml, installation);
}

async function unlessGone<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof LibvirtError && error.codeName === "VIR_ERR_NO_DOMAIN") return undefined;
    throw error;
  }
}

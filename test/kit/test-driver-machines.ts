import { openHostSide } from "#host/hypervisor/firewall.ts";
import { LibvirtHypervisor } from "#host/hypervisor/libvirt-hypervisor.ts";
import { machineOwnership } from "#host/hypervisor/ownership.ts";
import { slotNetwork } from "#host/hypervisor/slot-network.ts";
import { toXml, type XmlNode } from "#host/hypervisor/xml.ts";
import type { AdoptOrder } from "#host/runner/ports.ts";
import { machineUuid } from "#job/machine-name.ts";
import { connectLibvirt, type Libvirt } from "#libvirt/client.ts";
import type { DomainRef } from "#libvirt/protocol-values.ts";
import { machineOrder } from "./orders.ts";
import { PrivateLibvirtd } from "./private-libvirtd.ts";

const INSTALLATION = "7e57d41f".repeat(4);

/** What a domain of the test driver may differ in from one that `boot` made. */
type DomainTwist = { readonly uuid?: string; readonly metadata?: XmlNode };

export type TestDriverRoom = AsyncDisposable & {
  readonly libvirtd: PrivateLibvirtd;
  readonly hypervisor: LibvirtHypervisor;
  /** A connection of the test's own, to do what somebody else would. */
  readonly libvirt: Libvirt;
  readonly installation: string;
  readonly inTime: () => AbortSignal;
  /** An order to adopt, and the domain that belongs to it, defined and not started. */
  machine(job: string, twist?: DomainTwist): Promise<{ order: AdoptOrder; domain: DomainRef }>;
};

/**
 * The real hypervisor over libvirt's test driver, whose domains have no QEMU below: what is true of libvirt's answers and events
 * is true here. It cannot start what `boot` asks for, so domains are made by hand, as `boot` would name and mark them.
 */
export async function testDriverRoom(): Promise<TestDriverRoom> {
  const libvirtd = await PrivateLibvirtd.start();
  const hypervisor = new LibvirtHypervisor(libvirtd.uri);
  const libvirt = await connectLibvirt(libvirtd.uri);
  return {
    libvirtd,
    hypervisor,
    libvirt,
    installation: INSTALLATION,
    inTime: () => AbortSignal.timeout(50_000),
    machine: async (job, twist) => {
      const paper = await machineOrder({ path: libvirtd.folder, installation: INSTALLATION }, job);
      const order = { ...paper, startedAtMs: 0 };
      return { order, domain: await libvirt.domains.define(domainXml(order, twist)) };
    },
    [Symbol.asyncDispose]: async () => {
      await hypervisor[Symbol.asyncDispose]();
      await removeAll(libvirt);
      await libvirt[Symbol.asyncDispose]();
      await openHostSide(INSTALLATION);
      await libvirtd[Symbol.asyncDispose]();
    },
  };
}

function domainXml({ identity, name, slot }: AdoptOrder, twist?: DomainTwist): string {
  return toXml({
    domain: {
      "@type": "test",
      name,
      uuid: twist?.uuid ?? machineUuid(identity),
      metadata: twist?.metadata ?? machineOwnership(identity, slot),
      memory: { "@unit": "MiB", "#text": 64 },
      os: { type: "hvm" },
    },
  });
}

async function removeAll(libvirt: Libvirt): Promise<void> {
  for (const domain of await libvirt.domains.list()) {
    if (domain.name === "test") continue;
    if (domain.id !== -1) await libvirt.domains.destroy(domain);
    await libvirt.domains.undefine(domain);
  }
  const network = await libvirt.networks.lookupByName(slotNetwork(INSTALLATION, 0, 0).name);
  if (network === undefined) return;
  if (await libvirt.networks.isActive(network)) await libvirt.networks.destroy(network);
  await libvirt.networks.undefine(network);
}

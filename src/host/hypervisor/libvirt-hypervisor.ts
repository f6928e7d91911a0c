import { chown } from "node:fs/promises";
import type { Hypervisor, Machine, MachineOrder } from "#host/runner/ports.ts";
import { Fault } from "#job/fault.ts";
import { connectLibvirt, type Libvirt } from "#libvirt/client.ts";
import { LibvirtError } from "#libvirt/error.ts";
import type { DomainRef } from "#libvirt/protocol-values.ts";
import { domainXml } from "./domain-xml.ts";
import { closeHostSide } from "./firewall.ts";
import { pinNeighbour } from "./guest-addresses.ts";
import { translating } from "./libvirt-fault.ts";
import { LibvirtMachine } from "./libvirt-machine.ts";
import { isShutdownByHost, stopOfEvent } from "./machine-end.ts";
import { ensureNetwork } from "./networks.ts";
import { isOurs } from "./ownership.ts";
import { checkReach, type QemuUser, qemuUser, withDeviceGroup } from "./qemu-reach.ts";
import { removeDomain } from "./remove-domain.ts";
import { fromXml } from "./xml.ts";

/** A create can take a minute while libvirt probes QEMU anew; see the facts on a KVM device it cannot read. */
const CREATE_MS = 90_000;

/**
 * Machines over one libvirt. Two connections, since a connection has room for five calls and starting a machine can hold
 * one for long: the first starts and stops machines, the second hears events and reads. Both are made at first need.
 */
export class LibvirtHypervisor implements Hypervisor, AsyncDisposable {
  readonly #uri: string;
  readonly #machines = new Map<string, LibvirtMachine>();
  readonly #closing = new AbortController();
  #lifecycle: Promise<Libvirt> | undefined;
  #listening: Promise<Libvirt> | undefined;
  #events: Promise<void> | undefined;
  #qemuUser: Promise<QemuUser | undefined> | undefined;

  constructor(uri: string) {
    this.#uri = uri;
  }

  async offersKvm(signal: AbortSignal): Promise<boolean> {
    const libvirt = await this.#read();
    const context = {
      doing: "the list of what it can run",
      refused: "machine-refused",
      signal,
    } as const;
    const xml = await translating(context, () => libvirt.host.capabilities({ signal }));
    const guests = fromXml(xml).at("capabilities").all("guest");
    return guests.some((guest) =>
      guest
        .at("arch")
        .all("domain")
        .some((domain) => domain.attribute("type") === "kvm"),
    );
  }

  async boot(order: MachineOrder, signal: AbortSignal): Promise<Machine> {
    const { identity, slot } = order;
    const { installation } = identity;
    const [libvirt, reads] = await Promise.all([this.#call(), this.#read()]);
    const [network, owner] = await Promise.all([
      ensureNetwork(libvirt, { installation, slot }, signal),
      this.#handOver(reads, order, signal),
      closeHostSide(installation, signal),
    ]);
    await pinNeighbour(network);
    const context = {
      doing: `the machine ${order.name}`,
      refused: "machine-refused",
      signal,
    } as const;
    return await translating(context, async () => {
      await refuseSecond(libvirt, order.name, signal);
      await using undo = new AsyncDisposableStack();
      const domain = await libvirt.domains.define(domainXml(order, network.name, owner), {
        signal,
      });
      undo.defer(() => removeDomain(libvirt, domain));
      const onDisposed = () => void this.#machines.delete(domain.uuid);
      const startedAtMs = performance.now();
      const machine = new LibvirtMachine({
        libvirt,
        domain,
        order,
        network,
        startedAtMs,
        onDisposed,
      });
      this.#machines.set(domain.uuid, machine);
      undo.defer(onDisposed);
      await libvirt.domains.create(domain, { signal, timeoutMs: CREATE_MS });
      undo.move();
      return machine;
    });
  }

  async list(installation: string, signal: AbortSignal): Promise<readonly string[]> {
    const libvirt = await this.#read();
    return await translating(
      { doing: "the list of machines", refused: "libvirt-unreachable", signal },
      async () => {
        const domains = await libvirt.domains.list({ signal });
        const checked = await Promise.all(
          domains.map(async (domain) => {
            if (!domain.name.startsWith("testbed-")) return [];
            return (await isOursNow(libvirt, domain, installation)) ? [domain.name] : [];
          }),
        );
        return checked.flat();
      },
    );
  }

  async remove(installation: string, name: string, signal: AbortSignal): Promise<void> {
    const libvirt = await this.#call();
    await translating(
      { doing: `to remove ${name}`, refused: "machine-refused", signal },
      async () => {
        const domain = await libvirt.domains.lookupByName(name, { signal });
        if (domain === undefined) return;
        if (await isOursNow(libvirt, domain, installation)) await removeDomain(libvirt, domain);
      },
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    const open = await Promise.allSettled([this.#lifecycle, this.#listening]);
    await Promise.all(
      open.map(async (connection) => {
        if (connection.status === "fulfilled") await connection.value?.[Symbol.asyncDispose]();
      }),
    );
    await this.#events?.catch(() => undefined);
  }

  /** Makes sure that QEMU's user reaches the machine's files, and gives it disk and seed, if we may. */
  async #handOver(
    libvirt: Libvirt,
    order: MachineOrder,
    signal: AbortSignal,
  ): Promise<QemuUser | undefined> {
    this.#qemuUser ??= qemuUser(libvirt, signal).catch((error: unknown) => {
      this.#qemuUser = undefined;
      throw error;
    });
    const user = await this.#qemuUser;
    if (user === undefined) return undefined;
    await checkReach(order, user);
    const owner = await withDeviceGroup(user, order.acceleration);
    return (await giveAway([order.diskPath, order.seedPath], owner)) ? owner : undefined;
  }

  #call(): Promise<Libvirt> {
    this.#lifecycle ??= this.#connect().catch((error: unknown) => {
      this.#lifecycle = undefined;
      throw error;
    });
    return this.#lifecycle;
  }

  #read(): Promise<Libvirt> {
    this.#listening ??= this.#connect()
      .then((libvirt) => {
        this.#events = this.#listen(libvirt);
        return libvirt;
      })
      .catch((error: unknown) => {
        this.#listening = undefined;
        throw error;
      });
    return this.#listening;
  }

  #connect(): Promise<Libvirt> {
    return translating({ doing: `libvirt at ${this.#uri}`, refused: "libvirt-unreachable" }, () =>
      connectLibvirt(this.#uri),
    );
  }

  /** Tells machines how they ended; after a gap in the events each machine looks for itself. */
  async #listen(libvirt: Libvirt): Promise<void> {
    for await (const event of libvirt.events({ signal: this.#closing.signal })) {
      if (event.kind === "lifecycle") {
        const machine = this.#machines.get(event.domain.uuid);
        const stop = stopOfEvent(event.event, event.detail);
        if (isShutdownByHost(event.event, event.detail)) machine?.expectEndByHost();
        if (stop !== undefined) machine?.end(stop);
      } else if (event.kind === "io-error" && event.action === "pause") {
        // Not awaited: it waits for space, and other machines' events go on. It never throws.
        void this.#machines.get(event.domain.uuid)?.onDiskError(event.reason);
      } else if (event.kind === "reconnected" || event.kind === "overflow") {
        await Promise.all([...this.#machines.values()].map((machine) => machine.lookAgain()));
      }
    }
  }
}

/** Defining an existing name would change somebody's machine, and undoing it would destroy that. */
async function refuseSecond(libvirt: Libvirt, name: string, signal: AbortSignal): Promise<void> {
  if ((await libvirt.domains.lookupByName(name, { signal })) === undefined) return;
  throw new Fault(
    "machine-refused",
    `a machine ${name} exists already: this attempt was started before`,
  );
}

/** Whether a domain is provably an installation's; one that went away since it was listed is nobody's. */
async function isOursNow(
  libvirt: Libvirt,
  domain: DomainRef,
  installation: string,
): Promise<boolean> {
  try {
    return isOurs(domain.name, await libvirt.domains.xml(domain), installation);
  } catch (error) {
    if (error instanceof LibvirtError && error.codeName === "VIR_ERR_NO_DOMAIN") return false;
    throw error;
  }
}

/** Gives files of ours to QEMU's user; false when we may not: that takes root, or CAP_CHOWN (chown(2)). */
async function giveAway(paths: readonly string[], { uid, gid }: QemuUser): Promise<boolean> {
  try {
    await Promise.all(paths.map((path) => chown(path, uid, gid)));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EPERM") return false;
    throw error;
  }
}

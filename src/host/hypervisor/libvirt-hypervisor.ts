import { chown } from "node:fs/promises";
import type { AdoptOrder, Hypervisor, Machine, MachineOrder } from "#host/runner/ports.ts";
import { Fault } from "#job/fault.ts";
import type { Libvirt } from "#libvirt/client.ts";
import { attachCard } from "./attach-card.ts";
import { LibvirtConnections } from "./connections.ts";
import { domainXml } from "./domain-xml.ts";
import { findRun, isOursNow } from "./find-run.ts";
import { readyFirmware } from "./firmware.ts";
import { translating } from "./libvirt-fault.ts";
import { LibvirtMachine, type MachineParts } from "./libvirt-machine.ts";
import { LiveMachines } from "./live-machines.ts";
import { checkReach, type QemuUser, qemuUser, withDeviceGroup } from "./qemu-reach.ts";
import { readyNetwork } from "./ready-network.ts";
import { AWAY_MS, removeDomain } from "./remove-domain.ts";
import { slotNetwork } from "./slot-network.ts";
import { fromXml } from "./xml.ts";

/** What makes libvirt probe QEMU anew can take a minute, where it cannot read the KVM device. */
const PROBE_MS = 90_000;

const UNREACHABLE = { refused: "libvirt-unreachable" } as const;

/** Machines over one libvirt. Connects at first need; from then on it outlives any restart of libvirt. */
export class LibvirtHypervisor implements Hypervisor, AsyncDisposable {
  readonly #machines = new LiveMachines();
  readonly #connections: LibvirtConnections;
  #qemuUser: Promise<QemuUser | undefined> | undefined;

  constructor(uri: string) {
    this.#connections = new LibvirtConnections(uri, (event) => this.#machines.hear(event));
  }

  async offersKvm(signal: AbortSignal): Promise<boolean> {
    const libvirt = await this.#connections.read(signal);
    const context = {
      doing: "the list of what it can run",
      refused: "machine-refused",
      signal,
    } as const;
    const xml = await translating(context, () =>
      libvirt.host.capabilities({ signal, timeoutMs: PROBE_MS }),
    );
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
    const [libvirt, reads] = await Promise.all([
      this.#connections.call(signal),
      this.#connections.read(signal),
    ]);
    const [network, owner] = await Promise.all([
      readyNetwork(libvirt, { installation, slot }, signal),
      this.#handOver(reads, order, signal),
    ]);
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
        timeoutMs: PROBE_MS,
      });
      // What failed is told, not that this failed after it: whoever sweeps finds the domain by its name.
      undo.defer(() => removeDomain(libvirt, domain, AWAY_MS).catch(() => undefined));
      const startedAtMs = performance.now();
      const machine = this.#hold({ libvirt, domain, order: { ...order, startedAtMs }, network });
      undo.defer(() => this.#machines.drop(machine));
      await libvirt.domains.create(domain, { signal, timeoutMs: PROBE_MS });
      undo.move();
      return machine;
    });
  }

  async adopt(order: AdoptOrder, signal: AbortSignal): Promise<Machine | undefined> {
    const { identity, slot } = order;
    const { installation } = identity;
    // Events flow before anything is looked at, so that no stop falls in between.
    const [libvirt, reads] = await Promise.all([
      this.#connections.call(signal),
      this.#connections.read(signal),
    ]);
    const found = await findRun(reads, order, signal);
    if (found === undefined) return undefined;
    const network = found.isOver
      ? slotNetwork(installation, slot, 0)
      : await readyNetwork(libvirt, { installation, slot }, signal);
    if (!found.isOver) await attachCard(reads, found.domain, { bridge: network.bridge, signal });
    const machine = this.#hold({ libvirt, domain: found.domain, order, network });
    try {
      const context = { doing: `the state of ${order.name}`, ...UNREACHABLE, signal };
      await translating(context, () => machine.look(signal));
      // Perhaps libvirt was started just before, as when a host's daemons are upgraded together.
      machine.lookAgain();
    } catch (error) {
      this.#machines.drop(machine);
      throw error;
    }
    return machine;
  }

  async list(installation: string, signal: AbortSignal): Promise<readonly string[]> {
    const libvirt = await this.#connections.read(signal);
    return await translating(
      { doing: "the list of machines", ...UNREACHABLE, signal },
      async () => {
        const domains = await libvirt.domains.list({ signal });
        const checked = await Promise.all(
          domains.map(async (domain) => {
            if (!domain.name.startsWith("testbed-")) return [];
            return (await isOursNow(libvirt, domain, installation, signal)) ? [domain.name] : [];
          }),
        );
        return checked.flat();
      },
    );
  }

  async remove(installation: string, name: string, signal: AbortSignal): Promise<void> {
    const libvirt = await this.#connections.call(signal);
    await translating(
      { doing: `to remove ${name}`, refused: "machine-refused", signal },
      async () => {
        const domain = await libvirt.domains.lookupByName(name, { signal });
        if (domain === undefined) return;
        if (await isOursNow(libvirt, domain, installation, signal))
          await removeDomain(libvirt, domain);
      },
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connections[Symbol.asyncDispose]();
  }

  #hold(made: Omit<MachineParts, "open" | "onDisposed">): LibvirtMachine {
    const machine: LibvirtMachine = new LibvirtMachine({
      ...made,
      open: (timeoutMs) => this.#connections.open(timeoutMs),
      onDisposed: () => this.#machines.drop(machine),
    });
    this.#machines.add(machine);
    return machine;
  }

  /** Makes sure that QEMU's user reaches the machine's files, and gives it those that are the machine's own, if we may. */
  async #handOver(
    libvirt: Libvirt,
    order: MachineOrder,
    signal: AbortSignal,
  ): Promise<QemuUser | undefined> {
    this.#qemuUser ??= qemuUser(libvirt, signal).catch((error: unknown) => {
      this.#qemuUser = undefined;
      throw error;
    });
    const [user, variables] = await Promise.all([this.#qemuUser, readyFirmware(order)]);
    if (user === undefined) return undefined;
    await checkReach(order, user);
    const owner = await withDeviceGroup(user, order.acceleration);
    const own = [order.diskPath, order.seedPath, ...(variables === undefined ? [] : [variables])];
    return (await giveAway(own, owner)) ? owner : undefined;
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

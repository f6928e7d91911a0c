import type { LibvirtEvent } from "#libvirt/event.ts";
import type { LibvirtMachine } from "./libvirt-machine.ts";
import { isShutdownByHost, stopOfEvent } from "./machine-end.ts";

/** The machines that this process holds, one object for each domain, and what libvirt's events mean for them. */
export class LiveMachines {
  readonly #machines = new Map<string, LibvirtMachine>();

  /** From now on the machine hears. One that was held for the same domain hears no more and leaves the domain alone. */
  add(machine: LibvirtMachine): void {
    const { uuid } = machine.domain;
    this.#machines.get(uuid)?.letGo();
    this.#machines.set(uuid, machine);
  }

  /** From now on it hears nothing. Twice is safe. */
  drop(machine: LibvirtMachine): void {
    const { uuid } = machine.domain;
    if (this.#machines.get(uuid) === machine) this.#machines.delete(uuid);
  }

  /** Tells machines how they ended; after a gap in the events each machine looks for itself. Returns at once. */
  hear(event: LibvirtEvent): void {
    if (event.kind === "lifecycle") {
      const machine = this.#machines.get(event.domain.uuid);
      const stop = stopOfEvent(event.event, event.detail);
      if (isShutdownByHost(event.event, event.detail)) machine?.expectEndByHost();
      if (stop !== undefined) machine?.end(stop);
    } else if (event.kind === "io-error" && event.action === "pause") {
      // Not awaited: it waits for space, and other machines' events go on. It never throws.
      void this.#machines.get(event.domain.uuid)?.onDiskError(event.reason);
    } else if (event.kind === "reconnected" || event.kind === "overflow") {
      for (const machine of this.#machines.values()) machine.lookAgain();
    }
  }
}

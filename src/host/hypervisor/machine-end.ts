import { Fault } from "#job/fault.ts";

/** How a machine stopped, in libvirt's words for the details of its `stopped` event. */
export type MachineStop =
  | "shutdown"
  | "destroyed"
  | "panicked"
  | "gone"
  /** QEMU took a signal, from a person or from a host that shuts down, and ended in good order. */
  | "ended-by-host"
  /** It is off, and nobody saw how. */
  | "ended-unseen"
  | "failed"
  /** Not stopped but paused for good: the host has no space for what the guest writes, or cannot write it. */
  | "disk-full"
  | "disk-error";

/** The fault that says so, as of a machine that ran a job; while it boots the runner blames the image. */
export function faultOfStop(name: string, stop: MachineStop): Fault {
  switch (stop) {
    case "shutdown":
      return new Fault("guest-powered-off", "the guest powered itself off");
    case "panicked":
      return new Fault("guest-panicked", "the guest's kernel panicked");
    case "ended-by-host":
      return new Fault(
        "machine-crashed",
        `the QEMU process of ${name} was ended from this host: by a signal, or because the host shuts down`,
      );
    case "ended-unseen":
      return new Fault(
        "machine-crashed",
        `${name} stopped while libvirt could not be heard: the guest may have powered itself off, or the host ended it`,
      );
    case "destroyed":
      return new Fault("machine-destroyed", `somebody destroyed ${name}`);
    case "gone":
      return new Fault("machine-destroyed", `somebody destroyed and undefined ${name}`);
    case "disk-full":
      return new Fault(
        "host-disk-full",
        `this host's disk is full: ${name} was paused at a write, and no space came free. Free some and run it again`,
      );
    case "disk-error":
      return new Fault(
        "machine-crashed",
        `this host could not read or write the disk of ${name}; see its kernel's log`,
      );
    case "failed":
      return new Fault(
        "machine-crashed",
        `the QEMU process of ${name} died. Look at /var/log/libvirt/qemu/${name}.log, and at the kernel's log for the OOM killer`,
      );
  }
}

/** The stop that a lifecycle event tells of, if it does. The event alone is not enough, the detail says how. */
export function stopOfEvent(event: string, detail: string): MachineStop | undefined {
  if (event === "crashed") return "panicked";
  if (event === "undefined") return "gone";
  return event === "stopped" ? stopOf(detail) : undefined;
}

/** True for the event that comes before a stop which the guest did not ask for. */
export function isShutdownByHost(event: string, detail: string): boolean {
  return event === "shutdown" && detail === "host";
}

/** The stop behind a state, for one that no event told of. A state does not say who asked for a shutdown. */
export function stopOfState(state: string, reason: string): MachineStop | undefined {
  if (state === "crashed") return "panicked";
  if (state !== "shutoff") return undefined;
  return reason === "shutdown" ? "ended-unseen" : stopOf(reason);
}

/** A dead QEMU is `failed` in events and `crashed` in states. */
function stopOf(word: string): MachineStop {
  return word === "shutdown" || word === "destroyed" ? word : "failed";
}

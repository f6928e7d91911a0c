import { Fault } from "#job/fault.ts";

/** How a machine stopped, in libvirt's words for the details of its `stopped` event. */
export type MachineStop =
  | "shutdown"
  | "destroyed"
  | "panicked"
  | "gone"
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

/** The stop behind a state, for one that no event told of. */
export function stopOfState(state: string, reason: string): MachineStop | undefined {
  if (state === "crashed") return "panicked";
  return state === "shutoff" ? stopOf(reason) : undefined;
}

/** A dead QEMU is `failed` in events and `crashed` in states. */
function stopOf(word: string): MachineStop {
  return word === "shutdown" || word === "destroyed" ? word : "failed";
}

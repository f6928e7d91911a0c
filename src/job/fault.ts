/** Whose fault it is: decides who is asked to act, and together with `retry` what happens to the job. */
export type Blame = "job" | "image" | "host" | "service" | "operator";

/** Whether another attempt makes sense, and where: on any host, or only on another one. */
export type Retry = "never" | "anywhere" | "elsewhere";

/**
 * Every way an attempt can break. Nothing else in the code decides blame or retry. The README lists the same codes, and
 * a test compares both ways. `says` is the sentence that people read before the details.
 */
export const FAULTS = {
  "input-unreadable": {
    blame: "job",
    retry: "never",
    says: "an input file could not be read or sent",
  },
  "input-undelivered": {
    blame: "service",
    retry: "anywhere",
    says: "the job service did not deliver an input in time",
  },
  "guest-powered-off": { blame: "job", retry: "never", says: "the guest powered itself off" },
  "guest-panicked": {
    blame: "job",
    retry: "never",
    says: "the guest's kernel panicked while the job ran",
  },
  "guest-sshd-gone": {
    blame: "job",
    retry: "never",
    says: "the guest lives but its SSH server is gone",
  },
  "guest-runner-lost": {
    blame: "job",
    retry: "never",
    says: "the guest lost the runner of a step",
  },
  "job-not-understood": {
    blame: "host",
    retry: "elsewhere",
    says: "this host's testbed does not understand the job",
  },
  "image-unknown": {
    blame: "operator",
    retry: "never",
    says: "no image of this name is in the catalogue",
  },
  "disk-too-small": {
    blame: "job",
    retry: "never",
    says: "the job asks for a smaller disk than its image has",
  },
  "image-build-failed": {
    blame: "host",
    retry: "elsewhere",
    says: "the image's recipe did not build",
  },
  "image-damaged": {
    blame: "host",
    retry: "elsewhere",
    says: "the stored image is not what its manifest says",
  },
  "image-fetch-failed": {
    blame: "host",
    retry: "elsewhere",
    says: "the image could not be fetched",
  },
  "image-refused": {
    blame: "image",
    retry: "elsewhere",
    says: "the image, its catalogue or its address is not acceptable",
  },
  "image-panicked": {
    blame: "image",
    retry: "elsewhere",
    says: "the image's kernel panicked while it booted",
  },
  "image-unbootable": {
    blame: "image",
    retry: "elsewhere",
    says: "the machine did not boot in time",
  },
  "image-powered-off": {
    blame: "image",
    retry: "elsewhere",
    says: "the machine powered itself off while it booted",
  },
  "guest-no-ssh": {
    blame: "image",
    retry: "elsewhere",
    says: "the guest booted but no SSH server answered",
  },
  "guest-wrong-host-key": {
    blame: "image",
    retry: "elsewhere",
    says: "the guest showed a host key that is not its own",
  },
  "guest-login-refused": {
    blame: "image",
    retry: "elsewhere",
    says: "the guest refused the key that was made for it",
  },
  "guest-not-settled": {
    blame: "image",
    retry: "elsewhere",
    says: "the guest did not finish its start-up",
  },
  "guest-unreachable": { blame: "host", retry: "elsewhere", says: "the guest stopped answering" },
  "machine-crashed": { blame: "host", retry: "elsewhere", says: "the machine's QEMU process died" },
  "machine-hung": { blame: "host", retry: "elsewhere", says: "the machine's QEMU process hangs" },
  "machine-destroyed": {
    blame: "operator",
    retry: "anywhere",
    says: "somebody destroyed the machine",
  },
  "machine-refused": {
    blame: "host",
    retry: "elsewhere",
    says: "libvirt refused to make the machine",
  },
  "libvirt-unreachable": { blame: "host", retry: "elsewhere", says: "libvirt does not answer" },
  "network-unavailable": {
    blame: "host",
    retry: "elsewhere",
    says: "the slot's network could not be made",
  },
  "acceleration-unavailable": {
    blame: "operator",
    retry: "elsewhere",
    says: "the acceleration asked for does not work here",
  },
  "host-no-room": {
    blame: "host",
    retry: "elsewhere",
    says: "this host has no room for the machine",
  },
  "host-disk-full": { blame: "host", retry: "elsewhere", says: "the host's disk is full" },
  "host-path-closed": {
    blame: "operator",
    retry: "elsewhere",
    says: "QEMU's user cannot reach the machine's files",
  },
  "host-tool-missing": {
    blame: "operator",
    retry: "elsewhere",
    says: "a program that testbed needs is not installed",
  },
  "host-restarted": {
    blame: "host",
    retry: "anywhere",
    says: "the host was rebooted, or its daemon restarted and could not go on",
  },
  "host-lost": {
    blame: "host",
    retry: "elsewhere",
    says: "the host was silent until its lease ended",
  },
  "host-overran": {
    blame: "host",
    retry: "elsewhere",
    says: "the host held the job long past its time limit",
  },
  bug: { blame: "host", retry: "never", says: "testbed itself went wrong" },
} as const satisfies Record<string, { blame: Blame; retry: Retry; says: string }>;

/** The stable name of a fault, in verdicts, logs and the README. */
export type FaultCode = keyof typeof FAULTS;

/** What was at hand when it broke: small, plain, printable. Long texts are tails, already bounded by who puts them in. */
export type Evidence = Readonly<Record<string, string | number | boolean | readonly string[]>>;

/**
 * The one domain error. `message` is for people and ends with what to try next where there is something to try; `cause`
 * keeps what was thrown underneath. `stage` names the requirement or step that broke (`port answers`, `step build`).
 */
export class Fault extends Error {
  override readonly name = "Fault";
  readonly code: FaultCode;
  readonly stage: string | undefined;
  readonly evidence: Evidence;

  constructor(
    code: FaultCode,
    message: string,
    more: { cause?: unknown; stage?: string; evidence?: Evidence } = {},
  ) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause });
    this.code = code;
    this.stage = more.stage;
    this.evidence = more.evidence ?? {};
  }

  get blame(): Blame {
    return FAULTS[this.code].blame;
  }

  get retry(): Retry {
    return FAULTS[this.code].retry;
  }

  /**
   * The fault inside anything that was thrown. Node hands an abort reason back bare from `fetch` but wrapped as the
   * `cause` of an AbortError from timers and child processes, so the whole chain is searched. What has no fault in it is
   * a `bug`.
   */
  static from(thrown: unknown): Fault {
    for (let at = thrown, depth = 0; at instanceof Error && depth < 16; at = at.cause, depth += 1) {
      if (at instanceof Fault) return at;
    }
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    return new Fault("bug", message, { cause: thrown });
  }
}

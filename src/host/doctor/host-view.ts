import type { Acceleration } from "#host/runner/ports.ts";

/** What libvirt told about itself. */
export type LibvirtAnswer = {
  readonly libvirtVersion: string;
  readonly qemuVersion: string;
  /** Whom QEMU runs as; undefined when libvirt does not switch users. */
  readonly qemuUser: { readonly uid: number; readonly gid: number } | undefined;
  /** From connecting to the last answer. */
  readonly tookMs: number;
};

/** The host as the checks see it. Values say where to look, so that tests can point elsewhere. */
export type HostView = {
  /** Effective user id of this process. */
  readonly userId: number;
  /** Absolute; need not exist. */
  readonly stateFolder: string;
  /** Where libvirt may listen, in the order of the search. */
  readonly libvirtSockets: readonly string[];
  readonly virtlogdSocket: string;
  readonly kvmDevice: string;
  /** `/proc`. */
  readonly procFolder: string;
  /** What machines that boot by UEFI need; undefined on an architecture that no machine is made for. */
  readonly firmware:
    | { readonly files: readonly string[]; readonly debianPackage: string }
    | undefined;
  /** Where programs are searched. */
  readonly programFolders: readonly string[];
  /** True where systemd runs this host. */
  readonly hasSystemd: boolean;
  /** Folder of the set-up scripts, absolute. */
  readonly setupFolder: string;

  /** Connects and asks; at most once, however often it is called. Throws what the libvirt client throws. */
  libvirt(): Promise<LibvirtAnswer>;
  /** The emulator that libvirt would start for the machines that testbed makes. Throws as `libvirt` does. */
  emulator(): Promise<string>;
  /** What the boot probe found since this host booted; undefined when it did not run yet. */
  acceleration(): Promise<
    { readonly acceleration: Acceleration; readonly why: string } | undefined
  >;
};

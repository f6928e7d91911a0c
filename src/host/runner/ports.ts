import type { Evidence } from "#job/fault.ts";
import type { MachineIdentity } from "#job/machine-name.ts";
import type { JobSpec } from "#job/spec.ts";
import type { Guest, GuestPlace } from "./guest-port.ts";
import type { StateFolder } from "./state-folder.ts";

/**
 * What the runner needs of the rest of the host. The other host rooms implement these and never import each other. Every
 * call takes the attempt's signal, whose abort reason is a `Fault` or an `Ended`, and throws `Fault` and nothing else for
 * what can go wrong outside the program.
 */

/** How a machine's instructions run: in hardware, or emulated by QEMU's TCG. */
export type Acceleration = "kvm" | "tcg";

/** How long an image may take, in seconds from the start of the machine under KVM. Emulation multiplies them. */
export type Readiness = {
  /** First byte on the serial console. */
  readonly consoleSeconds: number;
  /** TCP port 22 answers with an SSH banner on some address. */
  readonly sshSeconds: number;
  /** The guest says that its start-up is over. */
  readonly settledSeconds: number;
};

/** How a machine gets from power-on to its kernel. */
export type Boot =
  /** QEMU loads a kernel that lies beside the disk. */
  | {
      readonly kind: "kernel";
      readonly kernel: string;
      readonly initrd: string;
      readonly commandLine: string;
    }
  /** The boot loader on the disk's EFI system partition, started by this host's UEFI firmware (OVMF). */
  | { readonly kind: "uefi" };

/**
 * How a guest learns its keys; both by a NoCloud disk. nocloud: an image made for testbed, which makes /run/testbed-settled when its
 * start-up is over. cloud-init: a distribution's image as it comes, whose cloud-init is told to do that as the last thing.
 */
type SeedKind = "nocloud" | "cloud-init";

/** A read-only image in this host's store. All paths are absolute. */
export type Image = {
  readonly name: string;
  readonly version: string;
  /** SHA-256 of the image's content, 64 hex digits: what a verdict records. */
  readonly digest: string;
  readonly architecture: "x86_64" | "aarch64";
  readonly disk: {
    readonly path: string;
    readonly format: "qcow2" | "raw";
    readonly virtualMiB: number;
  };
  readonly boot: Boot;
  readonly seed: SeedKind;
  /** The user that steps run as. */
  readonly login: string;
  readonly memoryMiBMin: number;
  readonly readiness: Readiness;
};

/** The catalogue on this host. */
export interface Images {
  /**
   * The image that a job names. What is not in the store is built first when there is a recipe, or fetched when a followed
   * catalogue offers it; a bare name that means nothing here yet is tried out in a machine before it does. `onProgress` gets a
   * short line now and then. Twice is safe, also from two processes: one builds or fetches, the other waits.
   * Throws image-unknown, image-build-failed, image-fetch-failed, image-refused, image-damaged, host-disk-full,
   * host-tool-missing.
   */
  resolve(
    reference: string,
    onProgress: (line: string) => void,
    signal: AbortSignal,
  ): Promise<Image>;

  /**
   * Keeps an image in the store until what it returns is disposed, or this process dies: neither pruned nor set aside.
   * Undefined when it is no longer there, so that it has to be resolved again. Any number of holds of one image are fine, and
   * disposing one twice is safe. Throws host-disk-full.
   */
  hold(image: Image, signal: AbortSignal): Promise<AsyncDisposable | undefined>;

  /**
   * Makes the writable disk of one machine at `path`: a qcow2 overlay with both formats declared. `diskMiB` undefined
   * keeps the image's size; smaller than the image is refused. Throws host-disk-full.
   */
  overlay(
    image: Image,
    path: string,
    diskMiB: number | undefined,
    signal: AbortSignal,
  ): Promise<void>;
}

/** Everything that one machine is made of. Closed data, so that the hypervisor can live in a process of its own. */
export type MachineOrder = {
  readonly identity: MachineIdentity;
  /** `machineName(identity)`; also the name of its folder. */
  readonly name: string;
  /** The machine's own folder, absolute; console and other host-side files go there. */
  readonly folder: string;
  /** Counted from 0. One machine per slot; the slot has a network of its own. */
  readonly slot: number;
  readonly cpus: number;
  readonly memoryMiB: number;
  readonly image: Image;
  readonly diskPath: string;
  readonly seedPath: string;
  readonly acceleration: Acceleration;
};

/** What there is to know of a machine that runs already, to take it up again. */
export type AdoptOrder = Pick<
  MachineOrder,
  "identity" | "name" | "folder" | "slot" | "acceleration"
> & {
  /** When it was started, on this process's monotonic clock (`performance.now()`); may be negative. */
  readonly startedAtMs: number;
};

/** Machines over libvirt. */
export interface Hypervisor {
  /** True when libvirt lists KVM for this architecture, which does not mean that guests run: see `settle-acceleration.ts`. */
  offersKvm(signal: AbortSignal): Promise<boolean>;

  /**
   * Makes the slot's network if needed, closes its host side, defines and starts the machine. On a throw nothing of the
   * machine is left in libvirt, unless libvirt itself went away for longer than half a minute. Throws machine-refused, network-unavailable, host-path-closed,
   * host-tool-missing, host-disk-full, libvirt-unreachable.
   */
  boot(order: MachineOrder, signal: AbortSignal): Promise<Machine>;

  /**
   * Takes up a machine that an earlier process of this installation booted. Undefined when libvirt has none of that name
   * that is provably ours (name, UUID, metadata), or has it without a word of how it ended: never started, or over before
   * the host or libvirt itself was started again; the caller removes it. One that stopped meanwhile comes back as ended,
   * with how it ended. Of one that runs, network and host side are put right as in `boot`, and when the host's full disk
   * paused it that is seen to; one that somebody suspended stays so. Twice is safe: an object that this process had for
   * the machine before hears no more, and disposing that one leaves the machine.
   * Throws libvirt-unreachable, network-unavailable, host-tool-missing.
   */
  adopt(order: AdoptOrder, signal: AbortSignal): Promise<Machine | undefined>;

  /** Names of all machines in libvirt that are provably this installation's: by name and by metadata. */
  list(installation: string, signal: AbortSignal): Promise<readonly string[]>;

  /** Destroys and undefines a machine of this installation by name. One that does not exist is fine. */
  remove(installation: string, name: string, signal: AbortSignal): Promise<void>;
}

/** A running machine. Disposing destroys and undefines it, has its own deadlines, ignores the attempt's signal, and is
 * safe twice; it throws when the machine could not be removed, after half a minute when libvirt is away. */
export interface Machine extends AsyncDisposable {
  readonly name: string;
  readonly acceleration: Acceleration;
  /** Aborts when the machine stops running; the reason is a Fault that says how: crashed, powered off, destroyed, ... */
  readonly ended: AbortSignal;
  /** Monotonic milliseconds (`performance.now()`) at which the call that started it was sent to libvirt. */
  readonly startedAtMs: number;
  /** The guest's addresses to try, best first: link-local on the slot's bridge (with zone), then neighbours and leases. */
  addresses(signal: AbortSignal): Promise<readonly string[]>;
  readonly console: Console;
  /** Screenshot as PNG, or undefined when the machine has no screen or does not answer. Bounded to 16 MiB. */
  screenshot(signal: AbortSignal): Promise<Uint8Array | undefined>;
  /**
   * True when the QEMU of a machine that libvirt has as running answers libvirt no more, and libvirt itself does: what a guest
   * that fell silent cannot be blamed for. Asks, for up to 11 s. Never throws; what cannot be found out is false.
   */
  isHung(): Promise<boolean>;
  /** Leases and libvirt's state of the machine, for a fault's evidence. Never throws. */
  evidence(): Promise<Evidence>;
  /** Leaves the machine running when this object is disposed (`--keep`). */
  keep(): void;
}

/** The serial console as the host has it: a bounded ring, so the oldest output may be gone. */
export interface Console {
  /** Bytes seen so far; 0 until the guest speaks. */
  size(): Promise<number>;
  /** The last `bytes` of it, raw. */
  tail(bytes: number): Promise<Buffer>;
  /** Copies what there is, oldest first, to `path`. Returns its size. */
  save(path: string): Promise<number>;
  /** The kernel's panic line and what follows, when the console shows one. */
  panic(): Promise<string | undefined>;
}

/** What lets one host into one guest, made fresh for each machine. */
export type Access = {
  readonly login: string;
  /** Private key of the client, OpenSSH format. Secret. */
  readonly clientKey: string;
  /** The guest's public host key as it must appear on the wire (RFC 4253, 6.6). */
  readonly hostKey: Buffer;
  /** The NoCloud seed that carries the other halves, an ISO image. */
  readonly seedPath: string;
};

/** Told as each requirement of the readiness list begins and is met. */
export type OnRequirement = (name: string, state: "waiting" | "met", elapsedMs: number) => void;

/** What a guest is to learn before anybody talks to it. */
export type SeedOrder = {
  readonly folder: string;
  readonly identity: MachineIdentity;
  readonly name: string;
  readonly image: Image;
  /**
   * The guest powers itself off so many seconds after it started, whoever is still there: no machine outlives a host whose
   * daemon never returns. Counted anew when the guest reboots. Undefined: never.
   */
  readonly curfewSeconds: number | undefined;
};

/** Inside machines. */
export interface Guests {
  /** Makes keys and writes the seed into `folder`. Throws host-disk-full, host-tool-missing. */
  prepare(order: SeedOrder, signal: AbortSignal): Promise<Access>;

  /**
   * Walks the readiness list and returns a guest that is logged in and settled. A fault names the requirement as its
   * stage and carries console tail and leases. Throws image-panicked, image-unbootable, guest-no-ssh,
   * guest-wrong-host-key, guest-login-refused, guest-not-settled, and whatever ended the machine.
   */
  connect(
    machine: Machine,
    access: Access,
    image: Image,
    onRequirement: OnRequirement,
    signal: AbortSignal,
  ): Promise<Guest>;

  /**
   * Takes up a guest that an earlier process was logged in to, in the boot it was in, without the readiness list. Nothing
   * is asked of it here: it is connected to at the first verb, and one that rebooted or is gone fails that verb. Twice is
   * safe, also while the earlier process has not quite died.
   */
  resume(
    order: {
      readonly machine: Machine;
      readonly access: Access;
      readonly place: GuestPlace;
    },
    signal: AbortSignal,
  ): Promise<Guest>;
}

/** How a machine of an image fared that was tried out. */
export type TrialOutcome =
  | { readonly kind: "passed"; readonly acceleration: Acceleration }
  | { readonly kind: "failed"; readonly acceleration: Acceleration; readonly why: string }
  /** Nothing was learnt of the image: there is no room, or the host itself was at fault. */
  | { readonly kind: "skipped"; readonly why: string };

/** Boots a machine of a stored image and runs a small job in it. Never throws but the signal's reason. */
export type TryOut = (
  image: Image,
  onProgress: (line: string) => void,
  signal: AbortSignal,
) => Promise<TrialOutcome>;

/** What is to be done in a machine whose disk is then wanted. */
export type DeriveOrder = {
  /** The job that makes the disk what it should be. Its image is named by digest. */
  readonly spec: JobSpec;
  /** Absolute, existing, empty; logs of the steps and the console go there. */
  readonly folder: string;
  /** Told of each phase and step of the machine as it begins. Returns at once and never throws. */
  readonly onStage: (stage: string) => void;
  readonly onProgress: (line: string) => void;
  /** Gets the disk of the stopped machine: an overlay over the image's own disk, which goes when this returns. */
  readonly onFrozen: (diskPath: string, signal: AbortSignal) => Promise<void>;
};

/**
 * Runs a job in a machine of its own, and hands over its disk when every step has passed and the guest has shut down in good order. The machine
 * is gone when this returns. Throws image-build-failed for what the job or its guest did, with the step as its stage and the
 * end of its log; the host's and the image's own faults; the signal's reason; and what `onFrozen` throws, as a fault.
 */
export type Derive = (order: DeriveOrder, signal: AbortSignal) => Promise<void>;

/** Every room, as the runner sees it. */
export type House = {
  readonly state: StateFolder;
  readonly images: Images;
  readonly hypervisor: Hypervisor;
  readonly guests: Guests;
};

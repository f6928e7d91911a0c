import type { Input, Step } from "#job/spec.ts";
import type { Artifact, Refusal, StepOutcome } from "#job/verdict.ts";

/** Where a guest is, and in which boot of it: what a later process needs, beside the access, to take it up again. */
export type GuestPlace = {
  /** The address that answered; link-local ones with their zone. */
  readonly address: string;
  /** Of the boot that the steps run in (the guest's /proc/sys/kernel/random/boot_id); checked at each connection. */
  readonly bootId: string;
};

/** One step as it is sent to the guest. */
export type StepOrder = {
  /** Position in the job, from 1; with the attempt's machine it names the step's files in the guest. */
  readonly number: number;
  readonly step: Step;
  readonly env: Readonly<Record<string, string>>;
  /** Where its log goes on the host. Existing bytes are kept: following goes on from the file's size. */
  readonly logPath: string;
  /** The log is cut there, inside the guest. */
  readonly logLimitBytes: number;
  /**
   * Seconds that the attempt has left as the step begins; none left counts as one. The guest ends the step then as timed
   * out, if its own limit is not sooner, so that a daemon that died leaves no endless step. Undefined: no such limit. Only
   * what the first call for a step says counts.
   */
  readonly attemptSecondsLeft: number | undefined;
  /**
   * An earlier process began it, or was about to: when the signal is aborted already, what its log has by now still comes home
   * before the throw, and a step that was not begun is not begun any more.
   */
  readonly isBegun: boolean;
  /** Gets each piece of the log as it comes home, for a terminal. Must not block. */
  readonly onLog?: (piece: Buffer) => void;
  /** Called before a throw: what a step that has no `StepEnd` left in its log. */
  readonly onLogEnd?: (size: LogSize) => void;
};

/** What a log came to; `cutBytes` is 0 when nobody knows how much more was printed, as when the guest is lost. */
export type LogSize = Pick<StepEnd, "logBytes" | "cutBytes">;

export type StepEnd = {
  readonly outcome: Exclude<StepOutcome, "skipped" | "lost" | "cancelled">;
  readonly exitCode?: number;
  readonly signal?: string;
  readonly logBytes: number;
  readonly cutBytes: number;
};

/** What came home, and what was refused. */
export type Collection = {
  readonly artifacts: readonly Artifact[];
  readonly refused: readonly Refusal[];
};

/**
 * A guest that is logged in. Survives lost SSH connections: each verb reconnects for as long as the guest answers, and
 * throws guest-runner-lost when it rebooted. Disposing lets go of the guest and does nothing to it: verbs under way throw
 * an error that is no `Fault`, and a step goes on for whoever resumes the guest.
 */
export interface Guest extends AsyncDisposable {
  readonly place: GuestPlace;
  /** Sends files and folders, streamed. Throws input-unreadable for what the host cannot read or the guest refuses. */
  send(
    inputs: readonly Input[],
    onBytes: (sent: number) => void,
    signal: AbortSignal,
  ): Promise<void>;
  /**
   * Starts the step detached and follows it to its end. Twice with the same number follows the first: it never runs
   * twice. When `signal` aborts, the step's process group is killed in the guest (TERM, then KILL) before this throws.
   * Throws guest-sshd-gone, guest-unreachable, guest-runner-lost.
   */
  run(order: StepOrder, signal: AbortSignal): Promise<StepEnd>;
  /** Brings files home into `folder`, which must be empty or missing. Whatever the guest does, it ends, within caps. */
  collect(patterns: readonly string[], folder: string, signal: AbortSignal): Promise<Collection>;
  /**
   * Asks the guest to shut down in good order, and returns once it has taken that; the machine's `ended` says when it is off. Twice
   * is safe. Throws image-build-failed when it does not take it, and what `run` throws.
   */
  powerOff(signal: AbortSignal): Promise<void>;
}

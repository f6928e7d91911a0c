import type { Phase } from "#job/phase.ts";
import type { JobSpec } from "#job/spec.ts";
import type { Artifact, Refusal, StepResult, Verdict } from "#job/verdict.ts";
import type { Acceleration } from "./ports.ts";

/** One attempt, as somebody asks for it. */
export type AttemptOrder = {
  readonly spec: JobSpec;
  /** 16 hex digits; with `attempt` it names the machine. */
  readonly job: string;
  /** Counted from 1. */
  readonly attempt: number;
  /** Absolute, existing folder, empty before the attempt is first run; `steps/`, `artifacts/` and `console.log` are made in it. */
  readonly resultsFolder: string;
  readonly acceleration: Acceleration | "auto";
  /** Leave the machine running when the attempt is over, however it ended. */
  readonly keep: boolean;
  /** Whether the attempt is run again with its journal when this process dies; else its machine is a leftover then. */
  readonly isResumable: boolean;
  /** How long it waits for a libvirt that does not answer, before the attempt breaks. */
  readonly libvirtPatienceSeconds: number;
  /** Each step's log is cut there, inside the guest. */
  readonly logLimitBytes: number;
  /**
   * The machine's disk is what the attempt is for: once all steps have passed, the guest is shut down in good order and this gets
   * its disk, an overlay over the image's own. The attempt has passed when this returns; then the machine goes, disk and all.
   */
  readonly onFrozen?: (diskPath: string, signal: AbortSignal) => Promise<void>;
};

/** A job, as somebody on this host asks for it: how often it is tried, and that it ends with its process, is not his affair. */
export type JobOrder = Omit<
  AttemptOrder,
  "attempt" | "isResumable" | "libvirtPatienceSeconds" | "onFrozen"
>;

/** Everything there is to say about an attempt that is over. Plain data: `verdict.json` is made of it. */
export type AttemptReport = {
  readonly verdict: Verdict;
  /** In order; a phase that was never entered is missing. */
  readonly phases: readonly { readonly phase: Phase; readonly durationMs: number }[];
  /** One line for each step of the job, those that never ran as `skipped`. */
  readonly steps: readonly StepResult[];
  readonly artifacts: readonly Artifact[];
  readonly refused: readonly Refusal[];
  readonly image:
    | { readonly name: string; readonly version: string; readonly digest: string }
    | undefined;
  readonly acceleration: Acceleration | undefined;
  readonly machine:
    | { readonly name: string; readonly memoryMiB: number; readonly cpus: number }
    | undefined;
  /** Set when the machine was left running. */
  readonly kept: { readonly name: string; readonly address: string | undefined } | undefined;
  /** What teardown could not remove; the next run sweeps it. Never changes the verdict. */
  readonly leaks: readonly string[];
  /** Milliseconds from the libvirt start call to: first address answer, login, settled, first step's end. */
  readonly marksMs: Readonly<Record<string, number>>;
};

/** Gets told as an attempt goes; every member returns at once and never throws. */
export type Listener = {
  enter(phase: Phase): void;
  /** Another process began the attempt and is gone; it goes on in this phase. */
  takenUp(phase: Phase): void;
  /** The image that the attempt runs from is known. */
  image(image: NonNullable<AttemptReport["image"]>): void;
  /** A requirement of the readiness list is waited for, or met after `elapsedMs`. */
  requirement(name: string, state: "waiting" | "met", elapsedMs: number): void;
  /** How many bytes of the inputs have been sent, told often; `isAll` once, at the end. */
  inputsSent(bytes: number, isAll: boolean): void;
  /** A line about long work: an image build. */
  progress(line: string): void;
  stepBegins(number: number, name: string): void;
  stepLog(number: number, piece: Buffer): void;
  stepEnds(result: StepResult): void;
  /** Something could not be taken down. */
  leak(what: string, error: unknown): void;
};

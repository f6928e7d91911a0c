/**
 * A job as the whole product speaks of it: checked, with units resolved and defaults filled in. `job-spec-of.ts`
 * makes it; nothing else does.
 */
export type JobSpec = {
  /** Catalogue reference: `name`, `name:version` or `name@sha256:…`. */
  readonly image: string;
  readonly cpus: number;
  /** Undefined: as much as the image asks for at least. */
  readonly memoryMiB: number | undefined;
  /** Size of the machine's disk; undefined: as large as the image's own. */
  readonly diskMiB: number | undefined;
  readonly network: "nat";
  /** Limit of the whole attempt, boot included. */
  readonly timeoutSeconds: number;
  /** How often a broken attempt may be tried in all, from 1. */
  readonly attempts: number;
  readonly inputs: readonly Input[];
  readonly env: Readonly<Record<string, string>>;
  readonly steps: readonly Step[];
  /** Glob patterns of guest paths; see `host/guest/artifact-globs.ts` for what they match. */
  readonly artifacts: readonly string[];
};

/** A file or folder of the submitter that goes into the guest before the first step. */
export type Input = {
  /** Host path, absolute. */
  readonly from: string;
  /** Guest path, absolute. */
  readonly to: string;
  /**
   * `from` is a tar archive of what goes below `to`. It is unpacked in the guest and never on the host: whoever made it decides what
   * is in it.
   */
  readonly isArchive?: boolean;
};

/** When a step runs, given how the steps before it went. */
type When = "success" | "failure" | "always";

/** One command of a job. */
export type Step = {
  /** Unique in the job. */
  readonly name: string;
  /** POSIX shell text; runs as the image's login user, byte for byte as written. */
  readonly run: string;
  readonly when: When;
  readonly timeoutSeconds: number | undefined;
  /** Kill the step when it prints nothing for so long. */
  readonly silenceSeconds: number | undefined;
};

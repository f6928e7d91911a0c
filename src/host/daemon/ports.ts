import type { Journal } from "#host/runner/journal.ts";
import type { Grant, LeaseRequest, RenewReply, RenewRequest } from "#protocol/lease.ts";
import type { VerdictReport } from "#protocol/verdict.ts";
import type { WireInput } from "#protocol/wire-job.ts";

/**
 * What the daemon needs of the rooms that know the job service and this host's disk. They implement these and never
 * import each other.
 */

/** The lease was lost: the job goes on without this attempt, and nothing more of it is taken. */
export class Fenced extends Error {
  override readonly name = "Fenced";
}

/** The service will never take this, however often it is asked: its token, a bug, something it does not have. */
export class NotTaken extends Error {
  override readonly name = "NotTaken";
}

/**
 * The job service as this host sees it. A service that is away, busy or full is asked again until `signal` aborts, with pauses
 * of a second to half a minute; so every call takes as long as it takes. Each is safe twice. Throws `Fenced`, `NotTaken`, or
 * the signal's reason.
 */
export interface Uplink {
  /** A job, or undefined when there is none within the time that the request names. */
  take(request: LeaseRequest, signal: AbortSignal): Promise<Grant | undefined>;

  /** Says that the attempt goes on. */
  renew(lease: string, request: RenewRequest, signal: AbortSignal): Promise<RenewReply>;

  /** Brings an input of the job into a file, which is whole and has its digest then; goes on where a part of it is there. */
  fetchInput(lease: string, input: WireInput, path: string, signal: AbortSignal): Promise<void>;

  /** Sends what a log has beyond what the service has of it, up to its present end; tells how much the service has then. */
  sendLog(lease: string, log: LogFile, signal: AbortSignal): Promise<number>;

  /** Sends a file under its digest, unless the service has it. */
  sendArtifact(lease: string, file: ArtifactFile, signal: AbortSignal): Promise<void>;

  /** Reports how the attempt ended; the lease is given back then. */
  report(lease: string, report: VerdictReport, signal: AbortSignal): Promise<"settled" | "queued">;

  /** Nothing more is asked of this lease: what was remembered of it may go. Twice is safe. */
  forget(lease: string): void;

  /** What the last question came to, for people: undefined when the service answered. */
  readonly trouble: string | undefined;
}

/** A log of an attempt, on this host. */
export type LogFile = { readonly log: string; readonly path: string };

/** A file that goes to the service by its digest. */
export type ArtifactFile = {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
};

/** What this host remembers of attempts, on disk: written before it is acted on, so that a daemon that starts knows it all. */
export interface AttemptBook {
  /** The id to ask for a lease with: the same, after restarts too, until `begin` was called. */
  requestId(): Promise<string>;

  /**
   * Notes an attempt and makes its folder; a new request id is used from then on. Undefined: it is known already, from
   * before a restart, and must not begin a second time.
   */
  begin(grant: Grant): Promise<AttemptFolder | undefined>;

  /** All attempts that still have something to say. */
  open(): Promise<readonly AttemptFolder[]>;
}

/** Whether somebody on this host said that it takes no work: remembered over restarts. */
export interface DrainFlag {
  /** Why, since when (ISO 8601); undefined while it works. */
  readonly drained: { readonly why: string; readonly since: string } | undefined;
  set(why: string): Promise<void>;
  clear(): Promise<void>;
}

/** The journal of an attempt, on disk. */
export type AttemptJournal = Pick<Journal, "past" | "note">;

/** A journal could not be written, and nobody knows what it has: the daemon is to end, and the next one to read what is there. */
export class JournalBroken extends Error {
  override readonly name = "JournalBroken";
}

/** An attempt, or a health check, that broke by this host's fault. */
export type HostFault = {
  /** What broke, for people: `attempt 1 of 0123456789abcdef`. */
  readonly about: string;
  readonly code: string;
  readonly message: string;
};

/** What is held against this host. */
export type QuarantineRecord = {
  /** In a row, oldest first, the last few. */
  readonly faults: readonly HostFault[];
  /** Pauses since an attempt ended well last. */
  readonly pauses: number;
  /** Set in quarantine: the end of the pause, in milliseconds since that boot of the host. */
  readonly until?: { readonly boot: string; readonly uptimeMs: number };
};

/** What is held against this host, on disk. */
export interface QuarantineFile {
  /** As it was when this was opened; undefined: nothing. */
  readonly known: QuarantineRecord | undefined;
  /** Undefined removes it. Throws what the disk says. */
  write(record: QuarantineRecord | undefined): Promise<void>;
}

/** One attempt on disk. What one says of it is there after a power cut. */
export interface AttemptFolder {
  readonly grant: Grant;
  /** When it was begun, in milliseconds since 1970. */
  readonly begunAtMs: number;
  /** For results: logs, console, artifacts. */
  readonly results: string;
  /** For inputs on their way to the guest. */
  readonly inputs: string;
  /** What `testbed run` would print. */
  readonly output: string;
  /**
   * Its journal, for who runs it. An Error that says why when it is damaged or cannot be read: the attempt cannot go on then, and
   * `forget` keeps the folder for somebody to look at. Throws `JournalBroken` when a new one cannot be written.
   */
  journal(): Promise<AttemptJournal | Error>;
  /** The verdict, when the attempt has one. */
  verdict(): Promise<VerdictReport | undefined>;
  /** Notes the verdict. The first one counts. Waits for room on a full disk; throws `JournalBroken`. */
  settle(report: VerdictReport): Promise<void>;
  /** The service has everything: removes the folder. Twice is safe. */
  forget(): Promise<void>;
  /** The service takes nothing more of it: keeps the evidence here, with the reason, until the caretaker removes it. */
  setAside(why: string): Promise<void>;
}

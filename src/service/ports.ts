import type { HostView } from "#protocol/host-view.ts";
import type { JobDetail, JobEvent, JobSummary } from "#protocol/job-view.ts";
import type { Grant, LeaseRequest, RenewReply, RenewRequest } from "#protocol/lease.ts";
import type { SubmitRequest } from "#protocol/submit.ts";
import type { Role, TokenView } from "#protocol/token.ts";
import type { VerdictReport, WireArtifact } from "#protocol/verdict.ts";
import type { Requirement } from "./matching/requirement.ts";

/**
 * What the rooms of the service need of each other. Requests have passed their schemas and whoever asks was found to be
 * allowed to; ownership is passed in where it decides.
 */

/** Time as the service has it. */
export interface Clock {
  /** Milliseconds that only ever grow, from any beginning: decides leases. */
  monotonicMs(): number;
  /** Milliseconds since 1970: for people, and for limits of the queue. */
  wallMs(): number;
}

/** A submit that may be queued. */
export type SubmitOrder = {
  readonly owner: string;
  readonly request: SubmitRequest;
  /** Of the client that may retry; 1 to 128 characters. */
  readonly idempotencyKey?: string;
  /** How many jobs the owner may have in the queue, this one included; default: any number. */
  readonly queuedMax?: number;
};

/** How a submit went. Only `queued` has changed anything. */
export type Submitted =
  | { readonly kind: "queued" | "known"; readonly id: string }
  | { readonly kind: "key-reused" }
  | { readonly kind: "inputs-missing"; readonly missing: readonly string[] }
  /** The input at this place, from 0, has another length than the job says. */
  | { readonly kind: "input-differs"; readonly number: number; readonly bytes: number }
  /** The owner has as many jobs in the queue as it may. */
  | { readonly kind: "queue-full"; readonly queued: number };

/** What of a job decides who may see it, and whether more will come of it. */
export type JobGlance = Pick<
  JobDetail,
  "id" | "owner" | "state" | "attempts" | "filesRemovedAt"
> & {
  readonly attemptList: readonly Pick<JobDetail["attemptList"][number], "number" | "state">[];
};

/** Which jobs to list, newest first. */
export type JobFilter = {
  readonly state?: JobSummary["state"];
  readonly verdict?: NonNullable<JobSummary["verdict"]>;
  readonly owner?: string;
  readonly name?: string;
  /** The image's name, whatever the version. */
  readonly image?: string;
  /** 1 to 500. */
  readonly limit: number;
  /** `next` of the page before. One that nobody gave out means the beginning. */
  readonly cursor?: string;
};

/** A page of jobs; `next` is missing at the end. */
export type JobPage = { readonly jobs: readonly JobSummary[]; readonly next?: string };

/** Why a lease does not hold: it was lost, or it never was this host's. */
export type NotHeld =
  | { readonly kind: "fenced"; readonly why: string }
  | { readonly kind: "unknown" };

/** How a renewal went. */
export type Renewed = ({ readonly kind: "renewed" } & RenewReply) | NotHeld;

/** How a verdict was taken: what became of the job. */
export type Settled = { readonly kind: "taken"; readonly job: "settled" | "queued" } | NotHeld;

/** What a live lease is about. */
export type Held =
  | {
      readonly kind: "held";
      readonly jobId: string;
      readonly attempt: number;
      readonly owner: string;
    }
  | NotHeld;

/** What passed its time. */
export type Expired = {
  /** Leases that were lost. */
  readonly leases: number;
  /** Jobs that waited too long. */
  readonly jobs: number;
  /** Hosts that were silent too long. */
  readonly hosts: readonly string[];
};

/** Whose input it is, and its digest. */
export type InputName = { readonly owner: string; readonly sha256: string };

/** An upload that is to begin or to go on: the length of the whole, and what all of its owner's may take together. */
export type UploadOrder = InputName & { readonly bytes: number; readonly bytesMax: number };

/** How old things become before they leave, in seconds of the wall clock since their last use. */
export type Ages = {
  /** Logs and artifacts of a settled job, by its verdict. */
  readonly fileSeconds: Readonly<Record<NonNullable<JobSummary["verdict"]>, number>>;
  /** A settled job with its history. Its files have left by then, whatever `fileSeconds` says. */
  readonly jobSeconds: number;
  /** Inputs that no queued or running job names. */
  readonly inputSeconds: number;
  /** Uploads that did not go on. */
  readonly partSeconds: number;
  /** Hosts that are lost. Drained ones stay, since they would come back undrained. */
  readonly hostSeconds: number;
  /** Tokens that are revoked. */
  readonly tokenSeconds: number;
};

/** How many there are. */
export type Census = {
  readonly hosts: Readonly<Record<HostView["state"], number>>;
  /** Live leases. */
  readonly attempts: number;
  readonly queued: number;
};

/** The database's file as it is in use. */
export type DatabaseSize = {
  readonly bytes: number;
  /** Of them unused: the next rows go there. */
  readonly freeBytes: number;
};

/** What left, and what the caller is to remove. */
export type Retired = {
  /** Jobs whose files are nobody's any more: remove them. */
  readonly files: readonly string[];
  /** How many jobs left whole. */
  readonly jobs: number;
  readonly hosts: readonly string[];
  readonly tokens: number;
  /** Inputs that may leave: see `dropInput`. */
  readonly inputs: readonly InputName[];
  readonly database: DatabaseSize;
};

/** What upkeep removed since the start, and how large everything is. */
export type UpkeepNumbers = {
  /** Things by kind: whole jobs, files of a job, inputs, uploads that were given up, strays of a crash, hosts, tokens. */
  readonly removed: Readonly<
    Record<"jobs" | "files" | "inputs" | "uploads" | "strays" | "hosts" | "tokens", number>
  >;
  readonly removedBytes: number;
  /** Missing until all files were looked at once. */
  readonly filesBytes?: number;
  /** What they may take before some leave; missing when there is no limit. */
  readonly filesBytesMax?: number;
  readonly database: DatabaseSize;
};

/** A token that is to be kept. */
export type NewToken = { readonly name: string; readonly role: Role; readonly hash: string };

/**
 * Jobs, attempts, leases, hosts and tokens, on disk. Every call that changes something answers when the change would survive a
 * power cut; calls that come together share one write. Calls take effect in the order in which they are made. A call that
 * rejects has changed nothing, but for `lost`, when nobody knows; it rejects with `StoreError` only.
 */
export interface Store extends AsyncDisposable {
  /** Queues a job. The same key of the same owner gives the same job; so a repeat is safe with a key, and only then. */
  submit(order: SubmitOrder): Promise<Submitted>;

  /** A page of jobs, newest first. Jobs that are submitted meanwhile are not in later pages. */
  list(filter: JobFilter): Promise<JobPage>;

  /** All about a job, or undefined; of a queued one also why it waits. */
  show(id: string): Promise<JobDetail | undefined>;

  /** The little of a job that most questions about it need, or undefined. Costs little, however much there is to show. */
  glance(id: string): Promise<JobGlance | undefined>;

  /** Ends a queued job, has the host of another one told at its next renewal, and leaves a settled one. Twice is safe. */
  cancel(id: string, why: string): Promise<JobDetail | undefined>;

  /** A job's history after event `after` (0: from the beginning), at most 1000 lines; undefined when there is no such job. */
  events(id: string, after: number): Promise<readonly JobEvent[] | undefined>;

  /** What an attempt brought home, at most 10,000; undefined when there is no such job or attempt. */
  artifacts(id: string, attempt: number): Promise<readonly WireArtifact[] | undefined>;

  /**
   * Leases the best fitting job to a host: highest priority, then age, where an image that the host has already is worth a
   * minute. Notes that the host was heard and what it has. A repeat with the same request id gets the same lease while it
   * is live, and nothing after. Undefined: nothing fits, or the host is drained; it does not wait. The image is pinned when its digest is known.
   */
  take(request: LeaseRequest): Promise<Grant | undefined>;

  /**
   * Gives a lease its full length again, notes a new phase and an image, brings back cancel. A lease whose end has passed
   * lives on when `expire` was not faster. A phase before the one that is known changes nothing, so that late repeats do no harm.
   */
  renew(lease: string, host: string, request: RenewRequest): Promise<Renewed>;

  /**
   * Settles an attempt: the job is over, or queued again when it broke and may be tried again. The first report counts; repeats
   * hear what came of it. A report for a lease past its end counts when `expire` was not faster.
   */
  settle(lease: string, host: string, report: VerdictReport): Promise<Settled>;

  /** What a lease of this host is about, for who takes its logs and artifacts. Notes that the host was heard. */
  holds(lease: string, host: string): Promise<Held>;

  /** The size of an input that the leased job names, or undefined: it names none such. */
  leasedInput(lease: string, host: string, sha256: string): Promise<number | undefined>;

  /**
   * Fences leases past their end, and those held for two hours past their attempt's time limit, and queues their jobs again or breaks them, ends jobs that waited too long, marks silent
   * hosts as lost. To be called about each second; nothing else does any of that.
   */
  expire(): Promise<Expired>;

  /** All hosts by name. */
  hosts(): Promise<readonly HostView[]>;

  /** How many hosts, attempts and queued jobs there are; costs little, however many. */
  census(): Promise<Census>;

  /** Gives a host nothing new, or with `why` undefined work again. Twice is safe. Undefined: there is no such host. */
  setDrain(host: string, why: string | undefined): Promise<HostView | undefined>;

  /** Keeps a token by the SHA-256 of its secret, 64 hex digits, and returns its id. At most 10,000 tokens: throws `full`. */
  addToken(token: NewToken): Promise<string>;

  /** All tokens, revoked ones too, oldest first. */
  tokens(): Promise<readonly TokenView[]>;

  /** Revokes a token: true when there is such a token. Twice is safe. */
  revokeToken(id: string): Promise<boolean>;

  /** The token with this hash unless it is revoked. Answers at once, from memory. */
  tokenOf(hash: string): TokenView | undefined;

  /**
   * Notes that an upload begins or goes on: what it will take counts for its owner from now on. Undefined: it may; else how much
   * the owner has already, and nothing was noted. Twice is safe.
   */
  beginInput(order: UploadOrder): Promise<number | undefined>;

  /** Notes that nothing is left of an upload, so that it counts no longer. Twice is safe. */
  dropUpload(name: InputName): Promise<void>;

  /** Notes that an owner has uploaded an input whole. Twice is safe. */
  addInput(owner: string, sha256: string, bytes: number): Promise<void>;

  /**
   * Forgets an input unless it was used meanwhile; true when nobody's job can name it now, so that its file may be removed. To be
   * called while nobody uploads it or notes it (`Contents.holding`).
   */
  dropInput(name: InputName, unusedSeconds: number): Promise<boolean>;

  /**
   * Lets a few of the things leave that are too old, and gives some unused room of the database back to the disk: a few
   * milliseconds' work. To be called again and again. Never touches what is queued or runs.
   */
  retire(ages: Ages): Promise<Retired>;

  /** Has the files of those jobs leave that were settled first, at most so many; returns the jobs, whose files are to be removed. */
  makeRoom(most: number): Promise<readonly string[]>;

  /** Which of these jobs, at most 1000, have files that are to stay. Of all others files are nobody's. */
  withFiles(ids: readonly string[]): Promise<readonly string[]>;

  /** The size of an input that this owner has uploaded whole, or undefined. */
  inputOf(owner: string, sha256: string): Promise<number | undefined>;

  /**
   * Calls `listener` with what is needed for jobs that were queued just now, once for each distinct requirement and write.
   * A host whose offer fits one of them should take again. Not called when a host that a job avoids becomes its last resort, since
   * others went away: hosts find that out when they ask next. Returns what ends it.
   */
  onQueued(listener: (requirements: readonly Requirement[]) => void): Disposable;
}

/** Why a store did not do something. */
export class StoreError extends Error {
  override readonly name = "StoreError";
  /**
   * busy: too many calls wait, ask again. full: no room, on disk or in a table. failed: the disk or the program went wrong.
   * newer: the file is of a newer testbed. taken: another service has it open. lost: the store is closed or its thread died.
   */
  readonly code: "busy" | "full" | "failed" | "newer" | "taken" | "lost";
  constructor(code: StoreError["code"], message: string, more: { cause?: unknown } = {}) {
    super(message, more);
    this.code = code;
  }
}

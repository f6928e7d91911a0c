import type { Readable } from "node:stream";

/**
 * Logs and contents as the API sees them. Ids, names and digests in keys have passed their schemas: the adapters make paths
 * of them. A call that rejects does so with `FilesError`, or with what its source threw.
 */

/** One log of one attempt. */
export type LogKey = { readonly jobId: string; readonly attempt: number; readonly log: string };

/** Where a content belongs: inputs to who uploaded them, artifacts to the attempt that made them. */
export type ContentKey =
  | { readonly kind: "input"; readonly owner: string; readonly sha256: string }
  | {
      readonly kind: "artifact";
      readonly jobId: string;
      readonly attempt: number;
      readonly sha256: string;
    };

/** How an append went; only `taken` has changed anything, and a repeat of the same bytes not even then. */
export type Appended = {
  readonly kind: "taken" | "wrong-offset";
  /** How much there is afterwards. */
  readonly haveBytes: number;
};

/** How much there is of a content; it is complete when all is there with the right digest. */
export type Have = { readonly haveBytes: number; readonly isComplete: boolean };

/** How an upload went. After `wrong-digest` nothing is kept. */
export type Written =
  | ({ readonly kind: "taken" | "wrong-offset" } & Have)
  | { readonly kind: "wrong-digest" };

/** The first and the last byte to read, both within the file. */
export type Span = { readonly first: number; readonly last: number };

/** Append-only files that grow while others read them. */
export interface Logs {
  /**
   * Appends when `offset` is exactly as much as there is. The same bytes again are recognised, so a repeat is safe. What was
   * taken survives the end of the process; a power cut only after `keep`. A full disk changes nothing and throws `full`.
   */
  append(key: LogKey, offset: number, bytes: Uint8Array): Promise<Appended>;

  /** Bytes in a log; 0 when it was never begun. */
  have(key: LogKey): Promise<number>;

  /** Bytes of each log of an attempt that was begun. */
  sizes(jobId: string, attempt: number): Promise<ReadonlyMap<string, number>>;

  /** A part of a log as a stream that reads 64 KiB ahead at most; its end or `destroy` closes the file. */
  read(key: LogKey, span: Span): Readable;

  /** Has all logs of an attempt survive a power cut, too. Twice is safe. */
  keep(jobId: string, attempt: number): Promise<void>;

  /** Calls `listener` after each append to a log. Returns what ends it. */
  onGrown(key: LogKey, listener: () => void): Disposable;
}

/** Files named by their SHA-256. */
export interface Contents {
  /** How much there is. */
  have(key: ContentKey): Promise<Have>;

  /**
   * Writes on from `offset`, which must be as much as there is; complete at `totalBytes` with the right digest, and then safe
   * from power cuts. A newer upload of the same content ends an older one, which keeps what came so far, as do a source that
   * throws and a full disk. A content that is complete already is left alone, and `source` unread.
   */
  write(
    key: ContentKey,
    at: { readonly offset: number; readonly totalBytes: number },
    source: AsyncIterable<Uint8Array>,
  ): Promise<Written>;

  /** Bytes of each artifact of an attempt, by digest, of those that are not complete as far as they came. */
  sizes(jobId: string, attempt: number): Promise<ReadonlyMap<string, number>>;

  /** Runs `work` while no other work holds this content: between asking how much there is and noting it nobody removes it. */
  holding<T>(key: ContentKey, work: () => Promise<T>): Promise<T>;

  /** Removes what there is of a content unless it is being written, and returns its bytes. Twice is safe. */
  remove(key: ContentKey): Promise<number>;

  /** A part of a complete content as a stream that reads 64 KiB ahead at most; its end or `destroy` closes the file. */
  read(key: ContentKey, span: Span): Readable;
}

/** A folder of many jobs, or of many inputs of one owner: a step of a walk through all files. */
export type Shelf =
  | { readonly kind: "logs" | "artifacts"; readonly prefix: string }
  | { readonly kind: "inputs"; readonly owner: string; readonly prefix: string };

/** What lies on a shelf. */
export type Stock = {
  /** Jobs that have a folder there. */
  readonly jobs: readonly string[];
  /** Contents that nobody wrote for a while, as whole ones or as parts. */
  readonly inputs: readonly { readonly sha256: string; readonly isPart: boolean }[];
  /** Parts of artifacts that nobody wrote for a while. */
  readonly parts: readonly ContentKey[];
};

/** All files, as who keeps them in order sees them. */
export interface Shelves {
  /** Bytes of all files, as far as they were looked at or written since the start. */
  readonly bytes: number;

  /** All shelves that there are. */
  list(): Promise<readonly Shelf[]>;

  /** Measures a shelf, and tells what lies there; inputs and parts only when they were not written for so long. */
  look(shelf: Shelf, unwrittenSeconds: number): Promise<Stock>;

  /** Removes all logs and artifacts of a job, and returns their bytes. Twice is safe. */
  removeJob(jobId: string): Promise<number>;
}

/** Whether the disk has room for new work. */
export interface Space {
  /** False when less than the reserve is free: what runs may go on, nothing new is taken. At most a second old. */
  hasRoom(): Promise<boolean>;
}

/** Why the files did not do something. */
export class FilesError extends Error {
  override readonly name = "FilesError";
  /** full: no room on the disk. superseded: a newer upload of the same content took over. failed: the disk went wrong. */
  readonly code: "full" | "superseded" | "failed";
  constructor(code: FilesError["code"], message: string, more: { cause?: unknown } = {}) {
    super(message, more);
    this.code = code;
  }
}

/** What the caretaker needs of the rooms that know this host's disk. They implement these and never import each other. */

/** An attempt's folder, as somebody sees it who does not know what runs. */
export type Remains = {
  /** `<job>-<attempt>`; the key for everything below. */
  readonly name: string;
  /**
   * open: it has no verdict, so it may be running. finished: it has one, and the service does not have all of it yet. aside: the
   * service takes nothing more of it. unreadable: nobody can tell whose it is.
   */
  readonly state: "open" | "finished" | "aside" | "unreadable";
  /** Since when, in milliseconds since 1970. */
  readonly sinceMs: number;
};

/** A file of an attempt that is over. */
export type Leftover = {
  /** Absolute. */
  readonly path: string;
  /** Its name for people: `step-1`, `out/report.xml`. */
  readonly name: string;
  readonly bytes: number;
};

/** The evidence on this host's disk. Whatever is asked for may be gone meanwhile: then it counts 0 bytes, and nothing is thrown. */
export interface Evidence {
  /** All attempts that have a folder here, those that changed longest ago first. */
  list(): Promise<readonly Remains[]>;

  /** Bytes of all files of an attempt. */
  bytesOf(name: string): Promise<number>;

  /** Removes an attempt that is set aside, all of it, and returns its bytes; of any other nothing. Twice is safe. */
  remove(name: string): Promise<number>;

  /** Sets an attempt aside, with the reason; one that is open or finished would be lost to the service, so only what is unreadable is. */
  setAside(name: string, why: string): Promise<void>;

  /** Logs of a finished attempt, those of the steps, the output and the console; none of any other. */
  logs(name: string): Promise<readonly Leftover[]>;

  /** Artifacts of a finished attempt; none of any other. */
  artifacts(name: string): Promise<readonly Leftover[]>;

  /** Removes the inputs of a finished attempt, which nobody needs any more; returns their bytes. Twice is safe. */
  dropInputs(name: string): Promise<number>;

  /** Cuts a log after `keepBytes` and ends it with a line that says so; returns what was freed. */
  cutLog(log: Leftover, keepBytes: number): Promise<number>;

  /** Removes an artifact; returns what was freed. Twice is safe. */
  dropArtifact(artifact: Leftover): Promise<number>;
}

/** The file system that machines and evidence lie on. */
export interface Disk {
  /** What may be written, in bytes. */
  freeBytes(): Promise<number>;
}

/** Something in the state folder that does not belong there, or is not as it should be. */
export type StateFinding = {
  /** Absolute. */
  readonly path: string;
  readonly says: string;
  /** It was ours and stale, and is gone now; anything else is left to people. */
  readonly isRemoved: boolean;
};

/** The state folder as a whole. */
export interface StateCheck {
  /** Looks through it, and removes what is provably ours and stale: with a clock that is not steady nothing is. Twice is safe. */
  look(now: {
    readonly wallMs: number;
    readonly isSteady: boolean;
  }): Promise<readonly StateFinding[]>;
}

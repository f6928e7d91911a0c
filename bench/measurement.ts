import type { Goal } from "./goal.ts";
import type { Timed } from "./pairs.ts";
import type { Server } from "./server.ts";

/** What a side gets to work with. What it opens ends with the scope. */
export type Setting = {
  readonly server: Server;
  readonly scope: AsyncDisposableStack;
  readonly signal: AbortSignal;
};

/** One way to do a piece of work: prepares, and returns the work itself. */
type Side = (setting: Setting) => Promise<Timed>;

/** One piece of work that can be done in several ways. */
export type Measurement = {
  readonly name: string;
  readonly ours: Side;
  readonly others: Readonly<Record<string, Other>>;
  readonly goals: readonly Goal[];
  /** What ours may cost in memory. */
  readonly memoryMiBMax?: number;
};

export type Other = {
  readonly side: Side;
  /** So slow that it only gets a third of the turns. */
  readonly isSlow?: boolean;
  /** What the server must have, or be, for this to make sense. */
  readonly needs?: "hasSftp" | "isLocal";
};

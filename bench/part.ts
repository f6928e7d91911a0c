import type { Finding } from "./report.ts";

export type PartOrder = {
  /** Undefined: the part's own number. */
  readonly pairs: number | undefined;
  /** Told what is being done. */
  readonly say: (line: string) => void;
  /** Given each finding as soon as there is one, so that none is lost when a later one fails. */
  readonly onFinding: (finding: Finding) => void;
  readonly signal: AbortSignal;
};

/** Measures one part and leaves nothing behind, also when the signal aborts. */
export type MeasurePart = (order: PartOrder) => Promise<void>;

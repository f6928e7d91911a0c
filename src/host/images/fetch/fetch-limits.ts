import type { Pauses } from "#lib/retry.ts";

/** How long a server may take, and how often it is asked. */
export type FetchLimits = {
  /** From the look-up of its name to the headers of its answer, for each request. */
  readonly answerMs: number;
  /** In each `windowMs` of waiting for it, at least `windowBytes` have to come. */
  readonly windowMs: number;
  readonly windowBytes: number;
  /** Tries in a row that bring less than `progressBytes` more than was there ever before. */
  readonly tries: number;
  readonly progressBytes: number;
  readonly pauses: Pauses;
};

/** One KiB a second is slower than any link that is of use for images; a minute is longer than a link's short sleep. */
export const FETCH_LIMITS: FetchLimits = {
  answerMs: 30_000,
  windowMs: 60_000,
  windowBytes: 60 * 1024,
  tries: 6,
  progressBytes: 2 ** 20,
  pauses: { firstMs: 1_000, longestMs: 30_000 },
};

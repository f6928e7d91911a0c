import { type Spread, spread } from "./statistics.ts";

/**
 * What a comparison is held to. `time`: ours divided by theirs, the smaller the better. `speed`: theirs divided by ours,
 * the larger the better. Without a limit it is only shown.
 */
export type Goal = {
  /** Whose time it is; default: ours. */
  readonly side?: string;
  readonly against: string;
  readonly of: "time" | "speed";
  readonly limit?: number;
};

/** The name that our own side has everywhere. */
export const OURS = "testbed";

/** One line of the result: one way of doing something against another. */
export type Comparison = {
  readonly side: string;
  readonly against: string;
  readonly of: Goal["of"];
  readonly oursMs: number;
  readonly theirsMs: number;
  /** Of the ratios of the single pairs. */
  readonly ratio: Spread;
  readonly pairs: number;
  readonly limit?: number;
  /** Missing without a limit. */
  readonly isMet?: boolean;
};

/** A number that stands for itself, such as memory. */
export type Amount = {
  readonly what: string;
  readonly unit: string;
  readonly value: Spread;
  readonly limit?: number;
  readonly isMet?: boolean;
  /** Whether the limit is the least that is wanted instead of the most. */
  readonly isMoreBetter?: boolean;
};

/** A pair of times, taken one right after the other. */
export type Pair = { readonly oursMs: number; readonly theirsMs: number };

/** Judges pairs by the median of their ratios, never by a ratio of medians: what disturbs one disturbs its partner. */
export function compare(goal: Goal, pairs: readonly Pair[]): Comparison {
  const ratio = spread(
    pairs.map(({ oursMs, theirsMs }) =>
      goal.of === "time" ? oursMs / theirsMs : theirsMs / oursMs,
    ),
  );
  const { limit } = goal;
  return {
    side: goal.side ?? OURS,
    against: goal.against,
    of: goal.of,
    oursMs: spread(pairs.map(({ oursMs }) => oursMs)).median,
    theirsMs: spread(pairs.map(({ theirsMs }) => theirsMs)).median,
    ratio,
    pairs: pairs.length,
    ...(limit === undefined
      ? {}
      : { limit, isMet: goal.of === "time" ? ratio.median <= limit : ratio.median >= limit }),
  };
}

/** Judges amounts, of which less is better unless it is said, by their median. */
export function weigh(
  what: string,
  unit: string,
  {
    values,
    limit,
    isMoreBetter = false,
  }: { values: readonly number[]; limit?: number; isMoreBetter?: boolean },
): Amount {
  const value = spread(values);
  return {
    what,
    unit,
    value,
    ...(limit === undefined
      ? {}
      : { limit, isMet: isMoreBetter ? value.median >= limit : value.median <= limit }),
    ...(isMoreBetter ? { isMoreBetter } : {}),
  };
}

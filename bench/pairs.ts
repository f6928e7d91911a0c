import { awaitQuiet } from "./foreign-load.ts";
import { type Goal, OURS, type Pair } from "./goal.ts";

/** Does a piece of work once and says how many milliseconds it took. */
export type Timed = () => Promise<number>;

/** One round: the milliseconds of each side that took part. */
export type Round = { readonly ms: Readonly<Record<string, number>>; readonly isNoisy: boolean };

export type RoundsOrder = {
  /** In the order in which they take turns. */
  readonly sides: readonly {
    readonly name: string;
    readonly work: Timed;
    readonly rounds: number;
  }[];
  readonly signal: AbortSignal;
};

/**
 * Lets the sides take turns, A B C A B C …, after one turn each that does not count (caches, compiled code, first use of
 * memory). A slow side may drop out early. Stops at the signal.
 */
export async function takeTurns({ sides, signal }: RoundsOrder): Promise<readonly Round[]> {
  for (const { work } of sides) {
    signal.throwIfAborted();
    await work();
  }
  const rounds: Round[] = [];
  for (let number = 0; sides.some((side) => number < side.rounds); number += 1) {
    const isNoisy = !(await awaitQuiet(signal));
    const ms: Record<string, number> = {};
    for (const side of sides.filter((candidate) => number < candidate.rounds)) {
      signal.throwIfAborted();
      ms[side.name] = await side.work();
    }
    rounds.push({ ms, isNoisy });
  }
  return rounds;
}

/**
 * The pairs of two sides. Rounds that began while others kept the machine busy are left out, unless that
 * would leave fewer than half.
 */
export function pairsOf(rounds: readonly Round[], { side = OURS, against }: Goal): readonly Pair[] {
  const both = rounds.flatMap(({ ms, isNoisy }) => {
    const oursMs = ms[side];
    const theirsMs = ms[against];
    return oursMs === undefined || theirsMs === undefined ? [] : [{ oursMs, theirsMs, isNoisy }];
  });
  const quiet = both.filter(({ isNoisy }) => !isNoisy);
  const taken = quiet.length * 2 >= both.length ? quiet : both;
  return taken.map(({ oursMs, theirsMs }) => ({ oursMs, theirsMs }));
}

/** Runs work and returns the milliseconds that it took. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedAtMs = performance.now();
  await work();
  return performance.now() - startedAtMs;
}

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
  /** Turns end when this much time has gone and there were a few; undefined: when all are taken. */
  readonly budgetMs: number | undefined;
  readonly signal: AbortSignal;
};

/** Fewer say nothing. */
const ROUNDS_MIN = 5;

/** Whether another round is due: `taken` of `wanted` rounds took `elapsedMs`. */
export function isRoundDue(
  { taken, wanted }: { taken: number; wanted: number },
  elapsedMs: number,
  budgetMs: number | undefined,
): boolean {
  if (taken >= wanted) return false;
  return taken < ROUNDS_MIN || budgetMs === undefined || elapsedMs < budgetMs;
}

/**
 * Lets the sides take turns, A B C A B C …, after one turn each that does not count (caches, compiled code, first use of
 * memory). A slow side may drop out early. Stops at the signal.
 */
export async function takeTurns({
  sides,
  budgetMs,
  signal,
}: RoundsOrder): Promise<readonly Round[]> {
  for (const { work } of sides) {
    signal.throwIfAborted();
    await work();
  }
  const rounds: Round[] = [];
  const wanted = Math.max(...sides.map((side) => side.rounds));
  const startedMs = performance.now();
  const elapsedMs = () => performance.now() - startedMs;
  while (isRoundDue({ taken: rounds.length, wanted }, elapsedMs(), budgetMs)) {
    const isNoisy = !(await awaitQuiet(signal));
    const ms: Record<string, number> = {};
    for (const side of sides.filter((candidate) => rounds.length < candidate.rounds)) {
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

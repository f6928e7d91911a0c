import { join } from "node:path";
import { type Amount, compare, type Goal, weigh } from "#bench/goal.ts";
import { pairsOf, takeTurns } from "#bench/pairs.ts";
import { cpuSeconds, peakMiB } from "#bench/process-cost.ts";
import type { Finding } from "#bench/report.ts";
import { countFsyncs } from "./fsyncs.ts";
import { Helper } from "./helper.ts";
import { OurService } from "./our-service.ts";
import { findPostgres, type Postgres, startPostgres } from "./postgres.ts";
import { folderOnDisk, type Room } from "./room.ts";
import type { YardstickCalls } from "./yardstick.ts";

const ROUNDS = 10;
const BUDGET_MS = 90_000;
/** Of one turn: a second or two. */
const CYCLES = 3000;
/** Jobs that the hosts of a turn find queued: every second one fits none of them. */
const QUEUED = 2 * CYCLES + 200;
const HOSTS = 64;
const SUBMITTERS = 16;

const YARDSTICK = "graphile-worker";
const ALONE = "the same, one job at a time";
const BATCHED = "the same, in batches";

/** Its own default is one job at a time; it is fastest here, on two cores, with about this many. */
const SIDES = {
  [YARDSTICK]: { atOnce: 24, isBatched: false },
  [ALONE]: { atOnce: 1, isBatched: false },
  [BATCHED]: { atOnce: 24, isBatched: true },
} as const;

const GOALS: readonly Goal[] = [
  { against: YARDSTICK, of: "speed", limit: 1.2 },
  { against: ALONE, of: "speed" },
  { against: BATCHED, of: "speed" },
];

/**
 * Lease and verdict over HTTP, two requests for one job, with half of the queue not fitting; theirs: a job that does nothing
 * taken and completed. Each answer of either is on disk. Milliseconds are those of a turn's cycles.
 */
export async function measureCycles(room: Room): Promise<Finding> {
  const { pairs, scope, signal, fleet } = room;
  const folder = await folderOnDisk(scope);
  const service = scope.use(await OurService.start(folder));
  const site = await service.site({ hosts: HOSTS, submitters: SUBMITTERS });
  const submitMs: number[] = [];
  const cpuMicroseconds: number[] = [];
  const queue = async () => {
    submitMs.push(await fleet.call("submit", { site, count: QUEUED, halfFits: true }, signal));
  };
  const cycles = () => fleet.call("cycles", { site, count: CYCLES }, signal);
  const ours = async () => {
    await queue();
    const before = await cpuSeconds(service.pid);
    const ms = await cycles();
    const seconds = ((await cpuSeconds(service.pid)) ?? 0) - (before ?? 0);
    cpuMicroseconds.push((seconds * 1e6) / CYCLES);
    return ms;
  };
  const { postgres, yardstick } = await openYardstick(room);
  const theirs = (side: keyof typeof SIDES) => async () =>
    yardstick.call("cycles", { url: postgres.url, count: CYCLES, ...SIDES[side] }, signal);
  const rounds = pairs ?? ROUNDS;
  const turns = await takeTurns({
    sides: [
      { name: "testbed", work: ours, rounds },
      { name: YARDSTICK, work: theirs(YARDSTICK), rounds },
      { name: ALONE, work: theirs(ALONE), rounds: Math.ceil(rounds / 3) },
      { name: BATCHED, work: theirs(BATCHED), rounds: Math.ceil(rounds / 3) },
    ],
    budgetMs: pairs === undefined ? BUDGET_MS : undefined,
    signal,
  });
  const perSecond = (side: string) =>
    turns.flatMap(({ ms }) => (ms[side] === undefined ? [] : [(CYCLES * 1000) / ms[side]]));
  return {
    name: `lease and verdict, ${HOSTS} hosts, ${CYCLES} cycles a turn`,
    comparisons: GOALS.map((goal) => compare(goal, pairsOf(turns, goal))),
    amounts: [
      weigh("cycles a second", "", {
        values: perSecond("testbed"),
        limit: 2000,
        isMoreBetter: true,
      }),
      weigh(`jobs a second, ${YARDSTICK}`, "", { values: perSecond(YARDSTICK) }),
      weigh("submits a second", "", { values: submitMs.map((ms) => (QUEUED * 1000) / ms) }),
      weigh("the service's processor time for a cycle", "µs", { values: cpuMicroseconds }),
      weigh("the service's memory, peak", "MiB", { values: [(await peakMiB(service.pid)) ?? 0] }),
      ...(await fsyncs(
        { queue, cycles, theirs: theirs(YARDSTICK) },
        { service, postgres, folder },
      )),
    ],
    rounds: turns.length,
    noisyRounds: turns.filter(({ isNoisy }) => isNoisy).length,
  };
}

async function openYardstick({ scope, signal, say }: Room) {
  const bin = await findPostgres();
  if (bin === undefined) throw new Error("PostgreSQL is not installed: run 'setup/packages bench'");
  const postgres = await startPostgres(
    { bin, folder: await folderOnDisk(scope) },
    { scope, signal },
  );
  const yardstick = scope.use(new Helper<YardstickCalls>("./yardstick.ts"));
  await yardstick.call("prepare", { url: postgres.url }, signal);
  say(`the yardstick is graphile-worker on PostgreSQL ${postgres.version}`);
  return { postgres, yardstick };
}

/** Counted in a turn of its own. */
async function fsyncs(
  work: Readonly<Record<"queue" | "cycles" | "theirs", () => Promise<unknown>>>,
  { service, postgres, folder }: { service: OurService; postgres: Postgres; folder: string },
): Promise<readonly Amount[]> {
  await work.queue();
  const ours = await countFsyncs(service.pid, join(folder, "strace"), work.cycles);
  const syncs = async () => Number(await postgres.sql("SELECT wal_sync FROM pg_stat_wal"));
  const before = await syncs();
  await work.theirs();
  const theirs = (await syncs()) - before;
  return Object.entries({ testbed: ours, [YARDSTICK]: theirs }).flatMap(([name, count]) =>
    count === undefined
      ? []
      : [weigh(`fsyncs for 1,000, ${name}`, "", { values: [(count * 1000) / CYCLES] })],
  );
}

import { compare, type Goal, weigh } from "#bench/goal.ts";
import { pairsOf, takeTurns } from "#bench/pairs.ts";
import { peakMiB } from "#bench/process-cost.ts";
import type { Finding } from "#bench/report.ts";
import { OurService } from "./our-service.ts";
import { folderOnDisk, type Room } from "./room.ts";

const ROUNDS = 10;
const BUDGET_MS = 40_000;
/** Of one turn; fewer than half of the shortest queue, since half of it fits no host. */
const CYCLES = 400;
const LENGTHS = {
  "1,000 queued": 1000,
  "10,000 queued": 10_000,
  "100,000 queued": 100_000,
} as const;

const GOALS: readonly Goal[] = [
  { side: "10,000 queued", against: "1,000 queued", of: "time", limit: 1.3 },
  { side: "100,000 queued", against: "1,000 queued", of: "time", limit: 1.3 },
];

/** What a lease and its verdict cost with a short and with long queues: three services take turns. */
export async function measureQueue(room: Room): Promise<Finding> {
  const { pairs, scope, signal, fleet, say } = room;
  const rounds = pairs ?? ROUNDS;
  const sides = [];
  let longest: OurService | undefined;
  for (const [name, count] of Object.entries(LENGTHS)) {
    say(`submitting ${count} jobs`);
    const service = scope.use(await OurService.start(await folderOnDisk(scope)));
    const site = await service.site({ hosts: 32, submitters: 16 });
    await fleet.call("submit", { site, count, halfFits: true }, signal);
    longest = service;
    const work = async () => {
      const ms = await fleet.call("cycles", { site, count: CYCLES }, signal);
      await fleet.call("submit", { site, count: CYCLES, halfFits: false }, signal);
      return ms;
    };
    sides.push({ name, work, rounds });
  }
  const turns = await takeTurns({
    sides,
    budgetMs: pairs === undefined ? BUDGET_MS : undefined,
    signal,
  });
  if (longest === undefined) throw new Error("nothing was measured");
  return {
    name: `lease and verdict by the length of the queue, ${CYCLES} cycles a turn`,
    comparisons: GOALS.map((goal) => compare(goal, pairsOf(turns, goal))),
    amounts: [
      weigh("database with 100,000 queued", "MiB", { values: [await longest.databaseMiB()] }),
      weigh("the service's memory, peak", "MiB", { values: [(await peakMiB(longest.pid)) ?? 0] }),
    ],
    rounds: turns.length,
    noisyRounds: turns.filter(({ isNoisy }) => isNoisy).length,
  };
}

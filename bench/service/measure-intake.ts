import { compare, type Goal } from "#bench/goal.ts";
import { pairsOf, takeTurns } from "#bench/pairs.ts";
import type { Finding } from "#bench/report.ts";
import type { BareIntakeCalls } from "./bare-intake.ts";
import { Helper } from "./helper.ts";
import { OurService } from "./our-service.ts";
import { folderOnDisk, type Room } from "./room.ts";

const ROUNDS = 15;
const BUDGET_MS = 20_000;
const JOBS = 20;
/** Of 64 KiB, for each log and turn. */
const PIECES = 16;
const BARE = "bare node:http";
const GOALS: readonly Goal[] = [{ against: BARE, of: "speed", limit: 0.5 }];

/** Logs of 20 jobs at once, in pieces of 64 KiB, to files. Each turn begins a new log of each job. */
export async function measureIntake({ pairs, scope, signal, fleet }: Room): Promise<Finding> {
  const service = scope.use(await OurService.start(await folderOnDisk(scope)));
  const site = await service.site({ hosts: JOBS, submitters: 1 });
  await fleet.call("submit", { site, count: JOBS, halfFits: false }, signal);
  const leases = await fleet.call("lease", { site }, signal);
  const bare = scope.use(new Helper<BareIntakeCalls>("./bare-intake.ts"));
  const port = await bare.call("start", { folder: await folderOnDisk(scope) }, signal);
  let logs = 0;
  const ours = () => {
    logs += 1;
    const paths = leases.map((lease) => `/v1/leases/${lease}/logs/step-${logs}`);
    return fleet.call("intake", { to: site.to, logs: withTokens(paths), pieces: PIECES }, signal);
  };
  const theirs = () => {
    const paths = leases.map((lease) => `/${lease}-${logs}`);
    const to = { host: "127.0.0.1", port };
    return fleet.call("intake", { to, logs: withTokens(paths), pieces: PIECES }, signal);
  };
  const withTokens = (paths: readonly string[]) =>
    paths.map((path, at) => ({ path, token: site.hosts[at]?.token ?? "" }));
  const rounds = pairs ?? ROUNDS;
  const turns = await takeTurns({
    sides: [
      { name: "testbed", work: ours, rounds },
      { name: BARE, work: theirs, rounds },
    ],
    budgetMs: pairs === undefined ? BUDGET_MS : undefined,
    signal,
  });
  return {
    name: `log intake, ${JOBS} jobs, ${(JOBS * PIECES) / 16} MiB a turn`,
    comparisons: GOALS.map((goal) => compare(goal, pairsOf(turns, goal))),
    amounts: [],
    rounds: turns.length,
    noisyRounds: turns.filter(({ isNoisy }) => isNoisy).length,
  };
}

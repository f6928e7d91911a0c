import { costAlone } from "./alone.ts";
import { type Amount, compare, OURS, weigh } from "./goal.ts";
import type { Measurement, Other } from "./measurement.ts";
import { MEASUREMENTS } from "./measurements.ts";
import { pairsOf, type Round, takeTurns } from "./pairs.ts";
import type { Finding } from "./report.ts";
import type { Server } from "./server.ts";

/** Fewer where each takes seconds. */
const ALONE_RUNS = { local: 3, remote: 1 } as const;

export type MeasureOrder = {
  readonly server: Server;
  readonly rounds: number;
  /** For each measurement, see `takeTurns`. */
  readonly budgetMs: number | undefined;
  /** Whether the targets hold here. */
  readonly hasTargets: boolean;
  /** Told what is being measured. */
  readonly say: (line: string) => void;
  readonly onFinding: (finding: Finding) => void;
  readonly signal: AbortSignal;
};

/** Measures everything there is to measure on an SSH server. */
export async function measureServer(order: MeasureOrder): Promise<void> {
  for (const measurement of MEASUREMENTS) {
    order.say(measurement.name);
    order.onFinding(await measure(measurement, order));
  }
}

async function measure(measurement: Measurement, order: MeasureOrder): Promise<Finding> {
  const { server, signal, rounds } = order;
  await using scope = new AsyncDisposableStack();
  const others = Object.entries(measurement.others).filter(([, { needs }]) =>
    isThere(needs, server),
  );
  const turns: Round[] = [];
  if (others.length > 0) {
    const setting = { server, scope, signal };
    const sides = [{ name: OURS, work: await measurement.ours(setting), rounds }];
    for (const [name, { side, isSlow }] of others) {
      const count = isSlow === true ? Math.ceil(rounds / 3) : rounds;
      sides.push({ name, work: await side(setting), rounds: count });
    }
    turns.push(...(await takeTurns({ sides, budgetMs: order.budgetMs, signal })));
  }
  const goals = measurement.goals
    .map(({ limit, ...goal }) => ({
      ...goal,
      ...(limit === undefined || !order.hasTargets ? {} : { limit }),
    }))
    .filter(({ against }) => others.some(([name]) => name === against));
  return {
    name: measurement.name,
    comparisons: goals.map((goal) => compare(goal, pairsOf(turns, goal))),
    amounts: await costs(measurement, server, signal),
    rounds: turns.length,
    noisyRounds: turns.filter(({ isNoisy }) => isNoisy).length,
  };
}

function isThere(needs: Other["needs"], server: Server): boolean {
  return needs === undefined || server[needs];
}

async function costs(
  { name, memoryMiBMax }: Measurement,
  server: Server,
  signal: AbortSignal,
): Promise<readonly Amount[]> {
  const found = [];
  const runs = server.isLocal ? ALONE_RUNS.local : ALONE_RUNS.remote;
  for (let run = 0; run < runs; run += 1) found.push(await costAlone(name, server, signal));
  return [
    weigh("memory above idle", "MiB", {
      values: found.map(({ memoryMiB }) => memoryMiB),
      ...(memoryMiBMax === undefined ? {} : { limit: memoryMiBMax }),
    }),
    weigh("event loop late, p99", "ms", {
      values: found.map(({ loopDelayMsP99 }) => loopDelayMsP99),
    }),
    weigh("event loop late, worst", "ms", {
      values: found.map(({ loopDelayMsMax }) => loopDelayMsMax),
    }),
  ];
}

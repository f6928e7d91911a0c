import { Logger, makeWorkerUtils, type RunnerOptions, run } from "graphile-worker";
import { answerCalls } from "./helper.ts";

/**
 * The yardstick: graphile-worker, which keeps its jobs in PostgreSQL. A process of its own, see `helper.ts`.
 */
const YARDSTICK = { prepare, cycles } as const;

export type YardstickCalls = typeof YARDSTICK;

const logger = new Logger(() => () => undefined);

/** Makes its tables in a database. */
async function prepare({ url }: { url: string }): Promise<void> {
  const utils = await makeWorkerUtils({ connectionString: url, logger });
  await utils.migrate();
  await utils.release();
}

type Order = {
  readonly url: string;
  readonly count: number;
  /** How many jobs it works on at once. */
  readonly atOnce: number;
  /** Fetches and completes jobs by the hundred: what a process that dies has fetched waits for four hours then. */
  readonly isBatched: boolean;
};

/**
 * Queues so many jobs that do nothing, in one call, has all of them taken and completed, each on disk, and returns the
 * milliseconds from the first one's start to the last one's completion.
 */
async function cycles({ url, count, atOnce, isBatched }: Order): Promise<number> {
  const utils = await makeWorkerUtils({ connectionString: url, logger });
  await utils.addJobs(
    Array.from({ length: count }, () => ({ identifier: "nothing", payload: {} })),
  );
  await utils.release();
  const batches = { localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 };
  const runner = await run({
    connectionString: url,
    logger,
    concurrency: atOnce,
    maxPoolSize: atOnce + 2,
    noHandleSignals: true,
    taskList: { nothing: async () => undefined },
    ...(isBatched ? { preset: { worker: batches } } : {}),
  } satisfies RunnerOptions);
  const completed = Promise.withResolvers<void>();
  let startedMs = Number.NaN;
  let left = count;
  runner.events.once("job:start", () => {
    startedMs = performance.now();
  });
  runner.events.on("job:complete", ({ error }) => {
    if (error !== null && error !== undefined) completed.reject(error as Error);
    left -= 1;
    if (left === 0) completed.resolve();
  });
  await completed.promise;
  const ms = performance.now() - startedMs;
  await runner.stop();
  return ms;
}

answerCalls(YARDSTICK);

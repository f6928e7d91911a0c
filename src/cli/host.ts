import type { Config } from "#config/config.ts";
import { runJob } from "#host/runner/run-job.ts";
import { openHouse } from "./house.ts";
import type { Host } from "./run-job-file.ts";

/** This host as `testbed run` needs it. */
export async function openHost(config: Config): Promise<Host> {
  const house = await openHouse(config);
  return {
    state: house.state,
    runAttempts: async (order, journal, signal) => [
      await runJob(house, { ...order, attempt: 1 }, journal, signal),
    ],
    [Symbol.asyncDispose]: () => house[Symbol.asyncDispose](),
  };
}

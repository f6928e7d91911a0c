import { openHouse } from "#cli/this-host/house.ts";
import type { Config } from "#config/config.ts";
import { runAttempts } from "#host/runner/run-attempts.ts";
import type { Host } from "./run-job-file.ts";

/** This host as `testbed run` needs it. */
export async function openHost(config: Config): Promise<Host> {
  const house = await openHouse(config);
  return {
    state: house.state,
    runAttempts: (order, listener, signal) => runAttempts(house, order, listener, signal),
    [Symbol.asyncDispose]: () => house[Symbol.asyncDispose](),
  };
}

import { mkdtemp, rm } from "node:fs/promises";
import type { PartOrder } from "#bench/part.ts";
import type { FleetCalls } from "./fleet.ts";
import { Helper } from "./helper.ts";

/** What each measurement of the service gets to work with. */
export type Room = PartOrder & {
  readonly fleet: Helper<FleetCalls>;
  /** What is opened in it ends with the measurement. */
  readonly scope: AsyncDisposableStack;
};

/** Not in memory, where a write that must last costs nothing, and where `/tmp` often is. */
const ON_DISK = "/var/tmp/testbed-bench-";

/** A private folder on a disk, removed with the scope. */
export async function folderOnDisk(scope: AsyncDisposableStack): Promise<string> {
  const folder = await mkdtemp(ON_DISK);
  scope.defer(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** The simulated fleet, gone with the scope. */
export function startFleet(scope: AsyncDisposableStack): Helper<FleetCalls> {
  return scope.use(new Helper<FleetCalls>("./fleet.ts"));
}

import type { StoreRoom } from "#test/kit/store-room.ts";
import { describeStoreJobs } from "./store-jobs.contract.ts";
import { describeStoreLeases } from "./store-leases.contract.ts";
import { describeStoreMonths } from "./store-months.contract.ts";
import { describeStoreTake } from "./store-take.contract.ts";
import { describeStoreVerdicts } from "./store-verdicts.contract.ts";

/** What every store promises; nothing else may be relied on by the rest of the service. */
export function describeStore(name: string, make: () => Promise<StoreRoom>): void {
  describeStoreJobs(name, make);
  describeStoreTake(name, make);
  describeStoreLeases(name, make);
  describeStoreVerdicts(name, make);
  describeStoreMonths(name, make);
}

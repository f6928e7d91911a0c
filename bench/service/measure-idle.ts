import { setTimeout as delay } from "node:timers/promises";
import { weigh } from "#bench/goal.ts";
import { residentMB } from "#bench/process-cost.ts";
import type { Finding } from "#bench/report.ts";
import { OurService } from "./our-service.ts";
import { folderOnDisk, type Room } from "./room.ts";

const LIMIT_MB = 125;
const STARTS = 3;
/** Long enough for a few of the ticks that an idle service has each second. */
const SETTLE_MS = 3000;

/** What the service takes while nobody asks anything; from the second start on the compile cache is there. */
export async function measureIdle({ scope, signal }: Room): Promise<Finding> {
  const folder = await folderOnDisk(scope);
  const values: number[] = [];
  for (let start = 0; start <= STARTS; start += 1) {
    await using service = await OurService.start(folder);
    if (start === 0) continue;
    await delay(SETTLE_MS, undefined, { signal });
    values.push((await residentMB(service.pid)) ?? Number.NaN);
  }
  return {
    name: "an idle service",
    comparisons: [],
    amounts: [weigh("memory, second start", "MB", { values, limit: LIMIT_MB })],
    rounds: 0,
    noisyRounds: 0,
  };
}

import { type Amount, weigh } from "#bench/goal.ts";
import type { Finding } from "#bench/report.ts";
import { quantile } from "#bench/statistics.ts";
import { OurService } from "./our-service.ts";
import { folderOnDisk, type Room } from "./room.ts";

const JOBS = 500;
const PER_SECOND = 50;

/** Hosts that wait, and what a job may wait for one of them in milliseconds. */
const FLEETS = [
  { hosts: 10 },
  { hosts: 100 },
  { hosts: 1000, limits: { p50: 10, p99: 50 } },
] as const;

/** From a submit to the lease of its job at a host that waits, at 50 submits a second. */
export async function measureWaiting({ scope, fleet, signal, say }: Room): Promise<Finding> {
  const service = scope.use(await OurService.start(await folderOnDisk(scope)));
  const site = await service.site({ hosts: 1000, submitters: 1 });
  const amounts: Amount[] = [];
  for (const size of FLEETS) {
    say(`${size.hosts} hosts wait`);
    const some = { ...site, hosts: site.hosts.slice(0, size.hosts) };
    const order = { site: some, count: JOBS, perSecond: PER_SECOND };
    const ms = await fleet.call("untilLeased", order, signal);
    const limits = "limits" in size ? size.limits : undefined;
    for (const [name, share] of [
      ["p50", 0.5],
      ["p99", 0.99],
    ] as const)
      amounts.push(
        weigh(`${size.hosts} hosts wait, ${name}`, "ms", {
          values: [quantile(ms, share)],
          ...(limits === undefined ? {} : { limit: limits[name] }),
        }),
      );
  }
  return {
    name: `from submit to lease, ${PER_SECOND} submits a second`,
    comparisons: [],
    amounts,
    rounds: 0,
    noisyRounds: 0,
  };
}

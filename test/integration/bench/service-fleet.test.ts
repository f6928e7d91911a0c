import { expect, test } from "vitest";
import { peakMiB } from "#bench/process-cost.ts";
import { countFsyncs } from "#bench/service/fsyncs.ts";
import { OurService } from "#bench/service/our-service.ts";
import { startFleet } from "#bench/service/room.ts";
import { scratchFolder } from "#test/kit/scratch.ts";

/** The service and the fleet of the bench, at work on a few jobs. */
test("the simulated fleet has the real service do all that the bench measures", async () => {
  await using folder = await scratchFolder();
  await using service = await OurService.start(folder.path);
  await using scope = new AsyncDisposableStack();
  const fleet = startFleet(scope);
  const { signal } = new AbortController();
  const site = await service.site({ hosts: 3, submitters: 2 });
  expect(await fleet.call("submit", { site, count: 20, halfFits: true }, signal)).toBeGreaterThan(
    0,
  );
  expect(await fleet.call("cycles", { site, count: 6 }, signal)).toBeGreaterThan(0);
  const leases = await fleet.call("lease", { site }, signal);
  expect(new Set(leases).size).toBe(3);
  const logs = leases.map((lease, at) => ({
    token: site.hosts[at]?.token ?? "",
    path: `/v1/leases/${lease}/logs/step-1`,
  }));
  expect(await fleet.call("intake", { to: site.to, logs, pieces: 2 }, signal)).toBeGreaterThan(0);
  // Of ten jobs that fit one is left.
  await fleet.call("cycles", { site, count: 1 }, signal);
  const waited = await fleet.call("untilLeased", { site, count: 5, perSecond: 100 }, signal);
  expect(waited.filter((ms) => ms > 0)).toHaveLength(5);
  await expect(fleet.call("cycles", { site, count: 1 }, signal)).rejects.toThrow("204");
  expect(await service.databaseMiB()).toBeGreaterThan(0);
  expect(await peakMiB(service.pid)).toBeGreaterThan(0);
});

test("fsyncs are counted where strace may look", async () => {
  await using folder = await scratchFolder();
  await using service = await OurService.start(folder.path);
  const count = await countFsyncs(service.pid, `${folder.path}/strace`, async () => {
    await service.site({ hosts: 3, submitters: 0 });
  });
  // Tokens are made one after the other, and each answer is on disk.
  expect(count ?? 3).toBeGreaterThanOrEqual(3);
});

import { expect, test } from "vitest";
import { MemoryStore } from "#test/fakes/memory-store.ts";
import { FakeClock } from "#test/kit/fake-clock.ts";
import { randomOf, seeds } from "#test/kit/seeds.ts";
import { checkInvariants } from "#test/kit/store-invariants.ts";
import { StoreStorm } from "#test/kit/store-storm.ts";

const LEASE_SECONDS = 100;
const STEPS = 300;

test.each(seeds(6))("the store keeps its promises in storm TESTBED_SEED=%i", async (seed) => {
  const clock = new FakeClock();
  const memory = new MemoryStore(clock, LEASE_SECONDS);
  const storm = new StoreStorm(randomOf(seed), clock);
  let store = memory.open();
  for (let step = 0; step < STEPS; step += 1) {
    if (await storm.step(store)) store = memory.open();
    checkInvariants(memory.database, storm.told);
  }
  await storm.calm(store);
  checkInvariants(memory.database, storm.told);
  const open = await store.list({ state: "queued", limit: 1 });
  expect(open.jobs).toEqual([]);
  // The storm was one: some leases were lost, some verdicts taken.
  expect(storm.told.verdicts.size).toBeGreaterThan(10);
});

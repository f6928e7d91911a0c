import { stat } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { SqliteStore } from "#service/store/sqlite-store.ts";
import { FakeClock } from "#test/kit/fake-clock.ts";
import { job, order } from "#test/kit/lease-messages.ts";
import { scratchFolder } from "#test/kit/scratch.ts";
import { randomOf, seeds } from "#test/kit/seeds.ts";
import { checkInvariants } from "#test/kit/store-invariants.ts";
import { StoreStorm } from "#test/kit/store-storm.ts";

const clock = new FakeClock();
const open = (path: string) => SqliteStore.open({ path, clock, leaseSeconds: 100 });

test("a database that another service has open is refused, and free when that one is gone", async () => {
  await using folder = await scratchFolder();
  const path = join(folder.path, "jobs.sqlite");
  const first = await open(path);
  await expect(open(path)).rejects.toMatchObject({ code: "taken" });
  await first.list({ limit: 1 });
  await first[Symbol.asyncDispose]();
  await using second = await open(path);
  expect(await second.list({ limit: 1 })).toEqual({ jobs: [] });
});

test("a database of a newer testbed is refused and not touched", async () => {
  await using folder = await scratchFolder();
  const path = join(folder.path, "jobs.sqlite");
  await (await open(path))[Symbol.asyncDispose]();
  using database = new DatabaseSync(path);
  database.exec("PRAGMA user_version = 999");
  await expect(open(path)).rejects.toMatchObject({
    code: "newer",
    message: expect.stringContaining("schema 999"),
  });
  expect(database.prepare("PRAGMA user_version").get()).toEqual({ user_version: 999 });
});

test("a database in a folder that is not there is refused", async () => {
  await using folder = await scratchFolder();
  await expect(open(join(folder.path, "none", "jobs.sqlite"))).rejects.toMatchObject({
    code: "failed",
  });
});

test("calls that come together take effect in their order, and one that fails spares the others", async () => {
  await using folder = await scratchFolder();
  await using store = await open(join(folder.path, "jobs.sqlite"));
  const asked = await Promise.allSettled([
    store.submit(order({ name: "first" })),
    store.submit(order({ job: job({ image: "not an image" }) })),
    store.submit(order({ name: "third" })),
    store.list({ limit: 9 }),
  ]);
  expect(asked).toMatchObject([
    { status: "fulfilled", value: { kind: "queued" } },
    { status: "rejected", reason: { code: "failed" } },
    { status: "fulfilled", value: { kind: "queued" } },
    { status: "fulfilled", value: { jobs: [{ name: "third" }, { name: "first" }] } },
  ]);
});

test("calls that come together share one write", async () => {
  await using folder = await scratchFolder();
  const path = join(folder.path, "jobs.sqlite");
  await using store = await open(path);
  const bytesBefore = (await stat(`${path}-wal`)).size;
  await store.submit(order());
  const bytesOfOne = (await stat(`${path}-wal`)).size - bytesBefore;
  await Promise.all(Array.from({ length: 100 }, () => store.submit(order())));
  const bytesOfMany = (await stat(`${path}-wal`)).size - bytesBefore - bytesOfOne;
  // Each write puts every page that it changed into the log, so a hundred of them would take a hundred times the room.
  expect(bytesOfMany).toBeLessThan(bytesOfOne * 10);
});

test.each(seeds(2))(
  "the store on disk keeps its promises in storm TESTBED_SEED=%i",
  async (seed) => {
    await using folder = await scratchFolder();
    const path = join(folder.path, "jobs.sqlite");
    const storm = new StoreStorm(randomOf(seed), clock);
    let store = await open(path);
    try {
      using database = new DatabaseSync(path, { readOnly: true });
      for (let step = 0; step < 200; step += 1) {
        if (await storm.step(store)) {
          await store[Symbol.asyncDispose]();
          store = await open(path);
        }
        if (step % 10 === 0) checkInvariants(database, storm.told);
      }
      await storm.calm(store);
      checkInvariants(database, storm.told);
    } finally {
      await store[Symbol.asyncDispose]();
    }
  },
);

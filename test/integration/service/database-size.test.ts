import { stat } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { SqliteStore } from "#service/store/sqlite-store.ts";
import { agesOf, RETENTION } from "#service/upkeep/retention.ts";
import { FakeClock } from "#test/kit/fake-clock.ts";
import { job, order } from "#test/kit/lease-messages.ts";
import { scratchFolder } from "#test/kit/scratch.ts";

const MIB = 2 ** 20;
const LARGE = job({ steps: [{ name: "build", run: "x".repeat(200_000) }] });

test("room of jobs that left goes back to the disk", async () => {
  await using folder = await scratchFolder();
  const path = join(folder.path, "jobs.sqlite");
  const clock = new FakeClock();
  await using store = await SqliteStore.open({ path, clock, leaseSeconds: 100 });
  for (let count = 0; count < 100; count += 1) {
    const submitted = await store.submit(order({ job: LARGE }));
    if (submitted.kind === "queued") await store.cancel(submitted.id, "enough");
  }
  clock.advance(100 * 86_400);
  const ages = agesOf(RETENTION);
  const { database: before } = await store.retire(ages);
  expect(before.bytes).toBeGreaterThan(18 * MIB);
  let now = before;
  for (let calls = 0; calls < 300 && now.bytes > 10 * MIB; calls += 1)
    now = (await store.retire(ages)).database;
  expect(now.bytes).toBeLessThan(10 * MIB);
  // Some stays, for what comes next.
  expect(now.freeBytes).toBeGreaterThan(4 * MIB);
  expect(await store.submit(order())).toMatchObject({ kind: "queued" });
});

test("the write-ahead log grows while somebody reads an old state, and shrinks when they are gone", async () => {
  await using folder = await scratchFolder();
  const path = join(folder.path, "jobs.sqlite");
  await using store = await SqliteStore.open({ path, clock: new FakeClock(), leaseSeconds: 100 });
  const logBytes = async () => (await stat(`${path}-wal`)).size;
  await store.submit(order());
  const reader = new DatabaseSync(path, { readOnly: true });
  reader.exec("BEGIN");
  reader.prepare("SELECT count(*) FROM jobs").get();
  for (let count = 0; count < 400; count += 1) await store.submit(order({ job: LARGE }));
  expect(await logBytes()).toBeGreaterThan(70 * MIB);
  reader.close();
  for (let count = 0; count < 3; count += 1) await store.submit(order());
  expect(await logBytes()).toBeLessThanOrEqual(64 * MIB);
});

import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { SqliteStore } from "#service/store/sqlite-store.ts";
import { FakeClock } from "#test/kit/fake-clock.ts";
import { ROOT } from "#test/kit/house.ts";
import { scratchFolder } from "#test/kit/scratch.ts";

const PROMISES_BEFORE_THE_KILL = 600;

/** Runs the stream until it has promised enough, kills it, and returns every promise that it made. */
async function killedStream(path: string): Promise<readonly [string, string][]> {
  const stream = spawn(process.execPath, [join(ROOT, "test/kit/store-stream.ts"), path], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const promises: [string, string][] = [];
  const ended = once(stream, "close");
  for await (const line of createInterface({ input: stream.stdout })) {
    const [what = "", id = ""] = line.split(" ");
    promises.push([what, id]);
    if (promises.length === PROMISES_BEFORE_THE_KILL) stream.kill("SIGKILL");
  }
  await ended;
  // The kill may have cut the last line.
  return promises.slice(0, -1);
}

test("after kill -9 in the middle of a stream everything that was promised is there, and goes on", async () => {
  await using folder = await scratchFolder();
  const path = join(folder.path, "jobs.sqlite");
  const promises = [...(await killedStream(path)), ...(await killedStream(path))];
  expect(promises.length).toBeGreaterThan(PROMISES_BEFORE_THE_KILL);

  const clock = new FakeClock();
  await using store = await SqliteStore.open({ path, clock, leaseSeconds: 100 });
  using database = new DatabaseSync(path, { readOnly: true });
  const has = {
    submitted: database.prepare("SELECT 1 FROM jobs JOIN specs USING (job) WHERE id = ?"),
    leased: database.prepare("SELECT 1 FROM attempts WHERE lease = ?"),
    settled: database.prepare("SELECT 1 FROM attempts WHERE lease = ? AND state = 'ended'"),
  };
  const missing = promises.filter(
    ([what, id]) => has[what as keyof typeof has].get(id) === undefined,
  );
  expect(missing).toEqual([]);
  expect(database.prepare("PRAGMA integrity_check").get()).toEqual({ integrity_check: "ok" });
  expect(database.prepare("PRAGMA foreign_key_check").all()).toEqual([]);

  const live = database
    .prepare("SELECT lease, host FROM attempts WHERE state = 'live' LIMIT 1")
    .get();
  if (live !== undefined)
    expect(await store.holds(String(live["lease"]), String(live["host"]))).toMatchObject({
      kind: "held",
    });
});

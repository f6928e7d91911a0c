import { beforeEach, expect, onTestFinished, test } from "vitest";
import { LeaseWaiters } from "#service/api/lease-waiters.ts";
import type { Store } from "#service/ports.ts";
import { asking, order } from "#test/kit/lease-messages.ts";
import { memoryStoreRoom } from "#test/kit/store-room.ts";

let store: Store;
let waiters: LeaseWaiters;
let takes: string[];

beforeEach(async () => {
  const room = await memoryStoreRoom();
  onTestFinished(async () => await room[Symbol.asyncDispose]());
  takes = [];
  store = new Proxy(room.store, {
    get(target, key) {
      const value = Reflect.get(target, key) as unknown;
      if (key !== "take") return typeof value === "function" ? value.bind(target) : value;
      return (request: Parameters<Store["take"]>[0]) => {
        takes.push(request.host);
        return target.take(request);
      };
    },
  });
  waiters = new LeaseWaiters(store);
});

const forever = new AbortController().signal;

/** A host that waits, and what it gets. */
function waiting(host: string, signal = forever) {
  return waiters.take(asking(host, { waitSeconds: 60 }), () => signal);
}

test("of many hosts that wait, as many are woken as there are jobs, and a few more", async () => {
  const hosts = Array.from({ length: 200 }, (_, number) => `lab-${number}`);
  const answers = hosts.map((host) => waiting(host));
  await expect.poll(() => takes.length).toBe(200);
  takes = [];
  await Promise.all(Array.from({ length: 5 }, () => store.submit(order())));
  await expect.poll(() => waiters.size).toBe(195);
  await expect.poll(() => takes.length).toBeLessThan(5 + 2 * 3 + 1);
  waiters[Symbol.dispose]();
  const grants = (await Promise.all(answers)).filter((grant) => grant !== undefined);
  expect(new Set(grants.map(({ jobId }) => jobId)).size).toBe(5);
});

test("hosts that are drained do not keep a job from one that is not", async () => {
  const drained = ["lab-1", "lab-2"];
  for (const host of drained) {
    await waiters.take(asking(host), () => forever);
    await store.setDrain(host, "repairs");
    void waiting(host);
  }
  const ready = waiting("lab-3");
  await store.submit(order());
  expect(await ready).toBeDefined();
  waiters[Symbol.dispose]();
});

test("a host that asks anew ends its earlier wait; one that leaves and a stop end theirs", async () => {
  const first = waiting("lab-1");
  const second = waiting("lab-1");
  expect(await first).toBeUndefined();
  const leaving = new AbortController();
  const third = waiting("lab-2", leaving.signal);
  leaving.abort();
  expect(await third).toBeUndefined();
  expect(waiters.size).toBe(1);
  waiters[Symbol.dispose]();
  expect(await second).toBeUndefined();
  expect(waiters.size).toBe(0);
});

test("a lease that the store is about to give while the wait ends is given, not lost", async () => {
  const leaving = new AbortController();
  const answer = waiting("lab-1", leaving.signal);
  await expect.poll(() => takes.length).toBe(1);
  const submitted = store.submit(order());
  await expect.poll(() => takes.length).toBe(2);
  leaving.abort();
  await submitted;
  expect(await answer).toBeDefined();
});

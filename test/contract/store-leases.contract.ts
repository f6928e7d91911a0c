import { describe, expect, test } from "vitest";
import {
  asking,
  broken,
  DIGEST,
  job,
  OTHER_DIGEST,
  order,
  renewal,
} from "#test/kit/lease-messages.ts";
import { granted, kindsOf, PASSED, type StoreRoom, submitted } from "#test/kit/store-room.ts";

/** What every store promises of leases, waiting and closing; nothing else may be relied on by the rest of the service. */
export function describeStoreLeases(name: string, make: () => Promise<StoreRoom>): void {
  describe(`${name}: renewing`, () => {
    test("renewals keep a lease; without one it is lost, its job tried again and the host fenced", async () => {
      await using room = await make();
      const { store, clock, leaseSeconds } = room;
      const id = await submitted(store, { job: job({ attempts: 2 }) });
      const { lease } = await granted(store, "lab-1");
      for (let count = 0; count < 3; count += 1) {
        clock.advance(leaseSeconds - 1);
        expect(await store.expire()).toMatchObject({ leases: 0 });
        expect(await store.renew(lease, "lab-1", renewal("booting"))).toEqual({
          kind: "renewed",
          secondsLeft: leaseSeconds,
        });
      }
      clock.advance(leaseSeconds + 1);
      expect(await store.expire()).toMatchObject({ leases: 1 });
      const why = expect.stringContaining("lab-1 was silent");
      expect(await store.renew(lease, "lab-1", renewal("running"))).toEqual({
        kind: "fenced",
        why,
      });
      expect(await store.settle(lease, "lab-1", PASSED)).toEqual({ kind: "fenced", why });
      expect(await store.holds(lease, "lab-1")).toEqual({ kind: "fenced", why });
      const second = await granted(store, "lab-2");
      expect(second).toMatchObject({ jobId: id, attempt: 2 });
      await store.settle(second.lease, "lab-2", PASSED);
      expect(await store.show(id)).toMatchObject({
        verdict: "passed",
        attemptList: [
          { state: "fenced", host: "lab-1" },
          { state: "ended", host: "lab-2" },
        ],
      });
      expect(await kindsOf(store, id)).toEqual([
        "submitted",
        "leased",
        "phase",
        "fenced",
        "queued",
        "leased",
        "ended",
        "settled",
      ]);
    });

    test("a lost lease of the last attempt breaks the job", async () => {
      await using room = await make();
      const id = await submitted(room.store);
      await granted(room.store, "lab-1");
      room.clock.advance(room.leaseSeconds + 1);
      await room.store.expire();
      expect(await room.store.show(id)).toMatchObject({
        state: "settled",
        verdict: "broken",
        why: expect.stringContaining("host-lost"),
      });
    });

    test("a host that renews long past the attempt's time limit loses its lease, and the history says why", async () => {
      await using room = await make();
      const { store, clock, leaseSeconds } = room;
      const id = await submitted(store, { job: job({ attempts: 2, timeout: "1h" }) });
      const { lease } = await granted(store, "lab-1");
      const renew = () => store.renew(lease, "lab-1", renewal("running"));
      const endSeconds = 3600 + 2 * 3600;
      for (let seconds = 0; seconds + leaseSeconds < endSeconds; seconds += leaseSeconds) {
        clock.advance(leaseSeconds);
        expect(await store.expire()).toMatchObject({ leases: 0 });
        expect(await renew()).toMatchObject({ kind: "renewed" });
      }
      clock.advance(leaseSeconds + 1);
      await renew();
      expect(await store.expire()).toMatchObject({ leases: 1 });
      const why = expect.stringContaining("long past its time limit of 3600 s");
      expect(await renew()).toEqual({ kind: "fenced", why });
      expect(await store.settle(lease, "lab-1", PASSED)).toEqual({ kind: "fenced", why });
      const history = (await store.events(id, 0)) ?? [];
      expect(history.find(({ kind }) => kind === "fenced")).toMatchObject({
        fault: "host-overran",
        says: why,
      });
      expect(await store.show(id)).toMatchObject({ state: "queued", attempts: 1 });
    });

    test("a command that fails gives no lease a longer life, and makes no silent host heard", async () => {
      await using room = await make();
      const { store, clock, leaseSeconds } = room;
      await submitted(store);
      await granted(store, "lab-1");
      const fails = order({ job: job({ image: "not an image" }) });
      for (let count = 0; count < 4; count += 1) {
        await expect(store.submit(fails)).rejects.toMatchObject({ code: "failed" });
        clock.advance(leaseSeconds / 4 + 1);
      }
      expect(await store.expire()).toMatchObject({ leases: 1 });
      await expect(store.submit(fails)).rejects.toMatchObject({ code: "failed" });
      clock.advance(181 - leaseSeconds);
      expect(await store.expire()).toMatchObject({ hosts: ["lab-1"] });
    });

    test("a late renewal revives a lease, and a late verdict counts, when nobody was faster", async () => {
      await using room = await make();
      const { store, clock, leaseSeconds } = room;
      const id = await submitted(store);
      const { lease } = await granted(store, "lab-1");
      clock.advance(leaseSeconds * 3);
      expect(await store.renew(lease, "lab-1", renewal("running"))).toMatchObject({
        kind: "renewed",
      });
      expect(await store.expire()).toMatchObject({ leases: 0 });
      clock.advance(leaseSeconds * 3);
      expect(await store.settle(lease, "lab-1", PASSED)).toMatchObject({ kind: "taken" });
      expect(await store.show(id)).toMatchObject({ verdict: "passed" });
    });

    test("a restart gives every live lease its full length", async () => {
      await using room = await make();
      await submitted(room.store);
      const { lease } = await granted(room.store, "lab-1");
      room.clock.advance(room.leaseSeconds * 10);
      const store = await room.reopen();
      expect(await store.expire()).toMatchObject({ leases: 0 });
      room.clock.advance(room.leaseSeconds - 1);
      expect(await store.expire()).toMatchObject({ leases: 0 });
      expect(await store.renew(lease, "lab-1", renewal("running"))).toMatchObject({
        kind: "renewed",
      });
    });

    test("phases may be left out and never go back", async () => {
      await using room = await make();
      const { store } = room;
      const id = await submitted(store);
      const { lease } = await granted(store, "lab-1");
      for (const phase of ["connecting", "booting", "connecting", "collecting"] as const)
        await store.renew(lease, "lab-1", renewal(phase));
      const phases = (await store.events(id, 0))?.flatMap(({ phase }) => phase ?? []);
      expect(phases).toEqual(["connecting", "collecting"]);
      expect(await store.events(id, 2)).toHaveLength(2);
    });

    test("a lease is nobody's but its host's", async () => {
      await using room = await make();
      const { store } = room;
      await submitted(store);
      const { lease } = await granted(store, "lab-1");
      const unknown = { kind: "unknown" };
      expect(await store.renew(lease, "lab-2", renewal("running"))).toEqual(unknown);
      expect(await store.settle(lease, "lab-2", PASSED)).toEqual(unknown);
      expect(await store.holds(lease, "lab-2")).toEqual(unknown);
      expect(await store.renew("0".repeat(32), "lab-1", renewal("running"))).toEqual(unknown);
      expect(await store.holds(lease, "lab-1")).toMatchObject({ kind: "held", owner: "ada" });
    });

    test("the image that the first host tells is pinned for all attempts", async () => {
      await using room = await make();
      const { store } = room;
      const id = await submitted(store, { job: job({ attempts: 3 }) });
      const toMake = [{ name: "micro", version: "2" }];
      const { lease } = await granted(store, "lab-1", { images: toMake });
      const image = { name: "micro", version: "2", digest: OTHER_DIGEST };
      await store.renew(lease, "lab-1", { ...renewal("booting"), image });
      await store.renew(lease, "lab-1", {
        ...renewal("running"),
        image: { ...image, digest: DIGEST },
      });
      expect(await store.show(id)).toMatchObject({
        pinned: { name: "micro", digest: OTHER_DIGEST },
      });
      await store.settle(lease, "lab-1", broken("anywhere"));
      expect(await store.take(asking("lab-2"))).toBeUndefined();
      expect(await granted(store, "lab-3", { images: [image] })).toMatchObject({
        jobId: id,
        imageDigest: OTHER_DIGEST,
      });
    });
  });

  describe(`${name}: waiting`, () => {
    test("a job past its limit in the queue times out, and the limit begins anew with each attempt", async () => {
      await using room = await make();
      const { store, clock } = room;
      const id = await submitted(store, { queueLimitSeconds: 60, job: job({ attempts: 2 }) });
      clock.advance(59);
      expect(await store.expire()).toMatchObject({ jobs: 0 });
      const { lease } = await granted(store, "lab-1");
      clock.advance(10);
      await store.settle(lease, "lab-1", broken("anywhere"));
      clock.advance(59);
      expect(await store.expire()).toMatchObject({ jobs: 0 });
      clock.advance(1);
      expect(await store.expire()).toMatchObject({ jobs: 1 });
      expect(await store.show(id)).toMatchObject({ verdict: "timed-out", attempts: 1 });
      expect(await store.take(asking("lab-1"))).toBeUndefined();
    });

    test("a wall clock that is set to another time ends no wait, and lengthens none", async () => {
      await using room = await make();
      const { store, clock } = room;
      const day = 86_400;
      for (const jump of [day, -2 * day]) {
        const before = await submitted(store, { queueLimitSeconds: 60, labels: ["nowhere"] });
        clock.advance(30);
        clock.jump(jump);
        const after = await submitted(store, { queueLimitSeconds: 60, labels: ["nowhere"] });
        expect(await store.expire()).toMatchObject({ jobs: 0 });
        clock.advance(31);
        expect(await store.expire()).toMatchObject({ jobs: 1 });
        expect(await store.show(before)).toMatchObject({ verdict: "timed-out" });
        clock.advance(31);
        expect(await store.expire()).toMatchObject({ jobs: 1 });
        expect(await store.show(after)).toMatchObject({ verdict: "timed-out" });
      }
    });

    test("a waiting job says why", async () => {
      await using room = await make();
      const { store } = room;
      const reasonOf = async (changes: Parameters<typeof order>[0]) =>
        (await store.show(await submitted(store, changes)))?.waiting?.reason;
      expect(await reasonOf({})).toBe("no-hosts");
      const { capacity } = asking("lab-1");
      await store.take(asking("lab-1", { free: { ...capacity, slots: 0 } }));
      expect(await reasonOf({ job: job({ image: "debian-12" }) })).toBe("no-image");
      expect(await reasonOf({ labels: ["gpu"] })).toBe("no-labels");
      expect(await reasonOf({ job: job({ resources: { cpus: 9 } }) })).toBe("too-large");
      expect(await reasonOf({})).toBe("busy");
      await store.setDrain("lab-1", "new disk");
      expect(await reasonOf({})).toBe("hosts-away");
      await store.setDrain("lab-1", undefined);
      await store.take(asking("lab-1", { images: [], capacity }));
      await store.take(asking("lab-2", { labels: [] }));
      expect(await reasonOf({ priority: -9 })).toBe("next");
    });

    test("a waiting job knows its place among those that need the same", async () => {
      await using room = await make();
      const { store } = room;
      await submitted(store);
      await submitted(store, { labels: ["gpu"] });
      const third = await submitted(store);
      expect(await store.show(third)).toMatchObject({ waiting: { position: 2 } });
      const first = await submitted(store, { priority: 1 });
      expect(await store.show(first)).toMatchObject({ waiting: { position: 1 } });
      expect(await store.show(third)).toMatchObject({ waiting: { position: 3 } });
    });
  });

  describe(`${name}: closing`, () => {
    test("what was asked before closing is done, what comes after is refused", async () => {
      await using room = await make();
      const asked = Array.from({ length: 50 }, () => room.store.submit(order()));
      const closing = room.store[Symbol.asyncDispose]();
      expect(new Set((await Promise.all(asked)).map(({ kind }) => kind))).toEqual(
        new Set(["queued"]),
      );
      await closing;
      await room.store[Symbol.asyncDispose]();
      await expect(room.store.list({ limit: 1 })).rejects.toMatchObject({ code: "lost" });
      const store = await room.reopen();
      expect((await store.list({ limit: 100 })).jobs).toHaveLength(50);
    });
  });
}

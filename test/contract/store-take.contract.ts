import { describe, expect, test } from "vitest";
import { asking, DIGEST, job, OTHER_DIGEST } from "#test/kit/lease-messages.ts";
import { granted, PASSED, type StoreRoom, submitted } from "#test/kit/store-room.ts";

/** What every store promises of which host gets which job; nothing else may be relied on by the rest of the service. */
export function describeStoreTake(name: string, make: () => Promise<StoreRoom>): void {
  describe(`${name}: taking`, () => {
    test("the highest priority goes first, then the oldest", async () => {
      await using room = await make();
      const { store } = room;
      const low = await submitted(store, { priority: -1 });
      const old = await submitted(store, { job: job({ resources: { cpus: 2 } }) });
      const young = await submitted(store);
      const high = await submitted(store, { priority: 9, labels: ["arch=x86_64"] });
      const order = [];
      for (let count = 0; count < 4; count += 1) order.push((await granted(store, "lab-1")).jobId);
      expect(order).toEqual([high, old, young, low]);
      expect(await store.take(asking("lab-1"))).toBeUndefined();
    });

    test.each([
      ["another image", { job: job({ image: "debian-12" }) }],
      ["another version", { job: job({ image: "micro:2" }) }],
      ["another digest", { job: job({ image: `micro@sha256:${OTHER_DIGEST}` }) }],
      ["a label too many", { labels: ["arch=x86_64", "gpu"] }],
      ["too many CPUs", { job: job({ resources: { cpus: 9 } }) }],
      ["too much memory", { job: job({ resources: { memory: "9GiB" } }) }],
      ["too large a disk", { job: job({ resources: { disk: "1TiB" } }) }],
    ])("a job with %s is not given", async (_, changes) => {
      await using room = await make();
      const id = await submitted(room.store, changes);
      expect(await room.store.take(asking("lab-1"))).toBeUndefined();
      expect(await room.store.show(id)).toMatchObject({ state: "queued" });
    });

    test.each([
      ["version", { job: job({ image: "micro:1" }) }],
      ["digest", { job: job({ image: `micro@sha256:${DIGEST}` }) }],
      ["label", { labels: ["arch=x86_64"] }],
      ["room", { job: job({ resources: { cpus: 8, memory: "8GiB", disk: "50GiB" } }) }],
    ])("a job whose %s fits is given", async (_, changes) => {
      await using room = await make();
      const id = await submitted(room.store, changes);
      expect(await granted(room.store, "lab-1")).toMatchObject({ jobId: id });
    });

    test("a host without a free slot gets nothing", async () => {
      await using room = await make();
      await submitted(room.store);
      const { capacity } = asking("lab-1");
      const free = { ...capacity, slots: 0 };
      expect(await room.store.take(asking("lab-1", { free }))).toBeUndefined();
    });

    test("memory that a job does not name is the image's least", async () => {
      await using room = await make();
      await submitted(room.store);
      const { capacity } = asking("lab-1");
      const hungry = { name: "micro", version: "1", digest: DIGEST, memoryMiBMin: 512 };
      const free = { ...capacity, memoryMiB: 511 };
      expect(await room.store.take(asking("lab-1", { free, images: [hungry] }))).toBeUndefined();
      const enough = { ...capacity, memoryMiB: 512 };
      await granted(room.store, "lab-1", { free: enough, images: [hungry] });
    });

    test("an image that the host has is worth a minute of age, not more", async () => {
      await using room = await make();
      const { store, clock } = room;
      const images = [
        { name: "micro", version: "1", digest: DIGEST },
        { name: "large", version: "1" },
      ];
      const toMake = await submitted(store, { job: job({ image: "large" }) });
      clock.advance(30);
      const there = await submitted(store);
      expect(await granted(store, "lab-1", { images })).toMatchObject({ jobId: there });
      clock.advance(31);
      await submitted(store);
      const grant = await granted(store, "lab-1", { images });
      expect(grant).toMatchObject({ jobId: toMake });
      expect(grant.imageDigest).toBeUndefined();
    });

    test("a request that is repeated gets the same lease, also after a restart", async () => {
      await using room = await make();
      await submitted(room.store);
      await submitted(room.store);
      const request = asking("lab-1");
      const first = await room.store.take(request);
      expect(await room.store.take(request)).toEqual(first);
      const store = await room.reopen();
      expect(await store.take(request)).toEqual(first);
      const other = await store.take({ ...asking("lab-2"), requestId: request.requestId });
      expect(other?.lease).not.toBe(first?.lease);
    });

    test("a repeat that comes when its lease is over gets nothing, though a job waits", async () => {
      await using room = await make();
      await submitted(room.store);
      await submitted(room.store);
      const request = asking("lab-1");
      const first = await room.store.take(request);
      await room.store.settle(first?.lease ?? "", "lab-1", PASSED);
      expect(await room.store.take(request)).toBeUndefined();
      await granted(room.store, "lab-1");
    });
  });
}

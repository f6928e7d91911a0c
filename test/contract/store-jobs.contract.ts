import { describe, expect, test } from "vitest";
import { compileSchema } from "#lib/validate.ts";
import { hostSchema } from "#protocol/host-view.ts";
import { eventSchema, jobDetailSchema, jobSummarySchema } from "#protocol/job-view.ts";
import { grantSchema } from "#protocol/lease.ts";
import { tokenSchema } from "#protocol/token.ts";
import { broken, DIGEST, job, OTHER_DIGEST, order, renewal } from "#test/kit/lease-messages.ts";
import { granted, kindsOf, PASSED, type StoreRoom, submitted } from "#test/kit/store-room.ts";

/** What every store promises of jobs: submitting and listing them; nothing else may be relied on by the rest of the service. */
export function describeStoreJobs(name: string, make: () => Promise<StoreRoom>): void {
  describe(`${name}: submitting`, () => {
    test("a call that fails changes nothing and spares those that came with it", async () => {
      await using room = await make();
      const { store } = room;
      const token = { name: "ada", role: "submitter", hash: "ab".repeat(32) } as const;
      await store.addToken(token);
      const came = await Promise.allSettled([
        store.submit(order()),
        store.addToken(token),
        store.submit(order()),
      ]);
      expect(came.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
      expect(await store.tokens()).toHaveLength(1);
      expect((await store.list({ limit: 10 })).jobs).toHaveLength(2);
      const grants = [await granted(store, "lab-1"), await granted(store, "lab-2")];
      expect(new Set(grants.map(({ jobId }) => jobId)).size).toBe(2);
    });

    test("a job is queued, then leased, then runs, then is settled, and its history says so", async () => {
      await using room = await make();
      const { store } = room;
      const id = await submitted(store, { name: "nightly", priority: 3 });
      expect(await store.show(id)).toMatchObject({ state: "queued", attempts: 0, name: "nightly" });
      const { lease, ...grant } = await granted(store, "lab-1");
      expect(grant).toEqual({
        jobId: id,
        attempt: 1,
        job: job(),
        imageDigest: DIGEST,
        lengthSeconds: room.leaseSeconds,
        timeoutSeconds: 3600,
      });
      expect(await store.show(id)).toMatchObject({ state: "leased", phase: "leased" });
      await store.renew(lease, "lab-1", renewal("running"));
      expect(await store.show(id)).toMatchObject({ state: "running", phase: "running" });
      expect(await store.settle(lease, "lab-1", PASSED)).toEqual({ kind: "taken", job: "settled" });
      expect(await store.show(id)).toMatchObject({ state: "settled", verdict: "passed" });
      expect(await kindsOf(store, id)).toEqual([
        "submitted",
        "leased",
        "phase",
        "ended",
        "settled",
      ]);
    });

    test("a glance tells what deciding needs, and the same as the whole", async () => {
      await using room = await make();
      const { store } = room;
      const id = await submitted(store, { job: job({ attempts: 2 }) });
      const { lease } = await granted(store, "lab-1");
      await store.settle(lease, "lab-1", broken("anywhere"));
      await granted(store, "lab-2");
      const glance = await store.glance(id);
      expect(glance?.attemptList).toEqual([
        { number: 1, state: "ended" },
        { number: 2, state: "live" },
      ]);
      expect(await store.show(id)).toMatchObject({ ...glance });
      expect(await store.glance("0".repeat(16))).toBeUndefined();
    });

    test("what is shown fits the wire's schemas", async () => {
      await using room = await make();
      const { store } = room;
      const check = (schema: object, value: unknown) =>
        expect(compileSchema(schema)(value)).toEqual([]);
      const id = await submitted(store, { job: job({ attempts: 3 }), queueLimitSeconds: 60 });
      await store.addToken({ name: "ada", role: "admin", hash: DIGEST });
      check(jobDetailSchema, await store.show(id));
      const grant = await granted(store, "lab-1");
      check(grantSchema, grant);
      await store.renew(grant.lease, "lab-1", renewal("booting"));
      check(jobDetailSchema, await store.show(id));
      await store.settle(grant.lease, "lab-1", broken("anywhere"));
      await granted(store, "lab-2");
      await store.setDrain("lab-2", "new disk");
      room.clock.advance(room.leaseSeconds + 1);
      await store.expire();
      await store.cancel(id, "enough");
      check(jobDetailSchema, await store.show(id));
      for (const event of (await store.events(id, 0)) ?? []) check(eventSchema, event);
      for (const host of await store.hosts()) check(hostSchema, host);
      for (const token of await store.tokens()) check(tokenSchema, token);
      for (const summary of (await store.list({ limit: 5 })).jobs) check(jobSummarySchema, summary);
    });

    test("the same key of the same owner leads to the same job, and to no other request", async () => {
      await using room = await make();
      const { store } = room;
      const first = await store.submit(order({ priority: 1 }, { idempotencyKey: "k" }));
      expect(first.kind).toBe("queued");
      const again = await store.submit(order({ priority: 1 }, { idempotencyKey: "k" }));
      expect(again).toEqual({ ...first, kind: "known" });
      const other = await store.submit(order({ priority: 2 }, { idempotencyKey: "k" }));
      expect(other).toEqual({ kind: "key-reused" });
      const bobs = await store.submit(
        order({ priority: 2 }, { idempotencyKey: "k", owner: "bob" }),
      );
      expect(bobs.kind).toBe("queued");
      expect((await store.list({ limit: 9 })).jobs).toHaveLength(2);
    });

    test("an input counts as there only for who uploaded it", async () => {
      await using room = await make();
      const { store } = room;
      const input = { sha256: DIGEST, bytes: 3, kind: "file", to: "/build/a" } as const;
      const wanted = { job: job({ inputs: [input, { ...input, to: "/build/b" }] }) };
      await store.addInput("bob", DIGEST, 3);
      expect(await store.submit(order(wanted))).toEqual({
        kind: "inputs-missing",
        missing: [DIGEST],
      });
      expect(await store.inputOf("ada", DIGEST)).toBeUndefined();
      await store.addInput("ada", DIGEST, 3);
      await store.addInput("ada", DIGEST, 3);
      expect(await store.inputOf("ada", DIGEST)).toBe(3);
      await submitted(store, wanted);
      const { lease } = await granted(store, "lab-1");
      expect(await store.leasedInput(lease, "lab-1", DIGEST)).toBe(3);
      expect(await store.leasedInput(lease, "lab-1", OTHER_DIGEST)).toBeUndefined();
      expect(await store.leasedInput(lease, "lab-2", DIGEST)).toBeUndefined();
    });

    test("listening hears what a queued job needs, until it ends", async () => {
      await using room = await make();
      const { store } = room;
      const heard: unknown[] = [];
      const listening = store.onQueued((requirements) => heard.push(...requirements));
      await submitted(store, { labels: ["gpu", "big"], job: job({ resources: { cpus: 2 } }) });
      expect(heard).toMatchObject([{ image: { name: "micro" }, cpus: 2, labels: ["big", "gpu"] }]);
      listening[Symbol.dispose]();
      await submitted(store);
      expect(heard).toHaveLength(1);
    });
  });

  describe(`${name}: listing`, () => {
    test("pages go from the newest to the oldest and end", async () => {
      await using room = await make();
      const { store } = room;
      const ids: string[] = [];
      for (let count = 0; count < 5; count += 1) ids.unshift(await submitted(store));
      const first = await store.list({ limit: 2 });
      await submitted(store);
      const second = await store.list({ limit: 2, cursor: first.next ?? "" });
      const third = await store.list({ limit: 2, cursor: second.next ?? "" });
      const all = [first, second, third].flatMap(({ jobs }) => jobs.map(({ id }) => id));
      expect(all).toEqual(ids);
      expect(third.next).toBeUndefined();
    });

    test("filters are joined by and", async () => {
      await using room = await make();
      const { store } = room;
      const one = await submitted(store, { name: "one" });
      const two = await submitted(store, { name: "two", job: job({ image: "debian-12:7" }) });
      await store.submit(order({ name: "one" }, { owner: "bob" }));
      await store.cancel(two, "no need");
      const idsOf = async (filter: object) =>
        (await store.list({ limit: 9, ...filter })).jobs.map(({ id }) => id);
      expect(await idsOf({ owner: "ada", name: "one" })).toEqual([one]);
      expect(await idsOf({ owner: "ada", state: "queued" })).toEqual([one]);
      expect(await idsOf({ image: "debian-12" })).toEqual([two]);
      expect(await idsOf({ verdict: "cancelled" })).toEqual([two]);
      expect(await idsOf({ state: "settled" })).toEqual([two]);
      expect(await idsOf({ owner: "nobody" })).toEqual([]);
    });

    test("what there is not is undefined", async () => {
      await using room = await make();
      const { store } = room;
      const none = "0".repeat(16);
      expect(await store.show(none)).toBeUndefined();
      expect(await store.cancel(none, "x")).toBeUndefined();
      expect(await store.events(none, 0)).toBeUndefined();
      expect(await store.artifacts(none, 1)).toBeUndefined();
      expect(await store.setDrain("nobody", "x")).toBeUndefined();
      expect(await store.revokeToken("00000000")).toBe(false);
    });
  });
}

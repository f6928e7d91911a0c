import { describe, expect, test } from "vitest";
import type { Ages } from "#service/ports.ts";
import {
  asking,
  broken,
  DIGEST,
  job,
  OTHER_DIGEST,
  order,
  report,
} from "#test/kit/lease-messages.ts";
import { granted, kindsOf, PASSED, type StoreRoom, submitted } from "#test/kit/store-room.ts";

const DAY = 86_400;

/** Everything stays for ever, but for what a test says. */
function ages(changes: Partial<Ages> = {}): Ages {
  const never = 10_000 * DAY;
  return {
    fileSeconds: {
      passed: never,
      failed: never,
      "timed-out": never,
      cancelled: never,
      broken: never,
    },
    jobSeconds: never,
    inputSeconds: never,
    partSeconds: never,
    hostSeconds: never,
    tokenSeconds: never,
    ...changes,
  };
}

const SOON: Ages["fileSeconds"] = {
  passed: DAY,
  failed: 2 * DAY,
  "timed-out": 2 * DAY,
  cancelled: 2 * DAY,
  broken: 2 * DAY,
};

/** A job that is over with this verdict. */
async function settled(room: StoreRoom, kind: "passed" | "failed" | "broken"): Promise<string> {
  const id = await submitted(room.store);
  const { lease } = await granted(room.store, "lab-1");
  const said = { passed: PASSED, failed: report({ kind: "failed" }), broken: broken("never") };
  await room.store.settle(lease, "lab-1", said[kind]);
  return id;
}

/** What every store promises of what leaves after months, and of what one owner may have. */
export function describeStoreMonths(name: string, make: () => Promise<StoreRoom>): void {
  describe(`${name}: leaving`, () => {
    test("files leave by verdict and age, the job when it is old as well; what is open stays", async () => {
      await using room = await make();
      const { store, clock } = room;
      const passed = await settled(room, "passed");
      const failed = await settled(room, "failed");
      const queued = await submitted(store, { labels: ["nowhere"] });
      await submitted(store);
      await granted(store, "lab-2");
      clock.advance(DAY + 1);
      expect(await store.retire(ages({ fileSeconds: SOON }))).toMatchObject({
        files: [passed],
        jobs: 0,
      });
      expect(await store.withFiles([passed, failed, queued, "0".repeat(16)])).toEqual(
        expect.arrayContaining([failed, queued]),
      );
      expect(await store.withFiles([passed])).toEqual([]);
      expect(await store.show(passed)).toMatchObject({
        verdict: "passed",
        filesRemovedAt: expect.any(String),
      });
      expect((await kindsOf(store, passed)).at(-1)).toBe("removed");
      expect(await store.retire(ages({ jobSeconds: 3 * DAY }))).toMatchObject({ jobs: 0 });
      clock.advance(3 * DAY);
      const old = await store.retire(ages({ fileSeconds: SOON, jobSeconds: 3 * DAY }));
      expect(old).toMatchObject({ files: [failed], jobs: 2 });
      expect(await store.show(passed)).toBeUndefined();
      expect(await store.events(failed, 0)).toBeUndefined();
      expect((await store.list({ limit: 9 })).jobs).toHaveLength(2);
      expect(await store.show(queued)).toMatchObject({ state: "queued" });
    });

    test("one call removes a few at most, and the next ones the rest", async () => {
      await using room = await make();
      const { store, clock } = room;
      const ids = [];
      for (let count = 0; count < 50; count += 1) ids.push(await submitted(store));
      for (const id of ids) await store.cancel(id, "enough");
      clock.advance(3 * DAY);
      const found = [];
      for (const left of [30, 10, 0]) {
        const old = ages({ fileSeconds: SOON, jobSeconds: 2 * DAY });
        found.push(...(await store.retire(old)).files);
        expect((await store.list({ limit: 500 })).jobs).toHaveLength(left);
      }
      expect(new Set(found)).toEqual(new Set(ids));
    });

    test("a job with a long list of artifacts leaves in pieces", async () => {
      await using room = await make();
      const { store, clock } = room;
      const id = await submitted(store);
      const { lease } = await granted(store, "lab-1");
      const artifacts = Array.from({ length: 5000 }, (_, number) => ({
        path: `out/${number}`,
        bytes: 1,
        sha256: DIGEST,
      }));
      await store.settle(lease, "lab-1", report({ kind: "passed" }, { artifacts }));
      clock.advance(3 * DAY);
      const old = ages({ fileSeconds: SOON, jobSeconds: DAY });
      expect(await store.retire(old)).toMatchObject({ files: [id], jobs: 0 });
      expect(await store.show(id)).toBeDefined();
      expect(await store.retire(old)).toMatchObject({ files: [], jobs: 0 });
      expect(await store.retire(old)).toMatchObject({ jobs: 1 });
      expect(await store.show(id)).toBeUndefined();
    });

    test("to make room the files of those go first that were settled first, and nothing else", async () => {
      await using room = await make();
      const { store, clock } = room;
      await submitted(store, { labels: ["nowhere"] });
      const ids = [];
      for (const kind of ["broken", "passed", "failed"] as const) {
        ids.push(await settled(room, kind));
        clock.advance(1);
      }
      expect(await store.makeRoom(2)).toEqual(ids.slice(0, 2));
      expect(await store.makeRoom(2)).toEqual(ids.slice(2));
      expect(await store.makeRoom(2)).toEqual([]);
      expect(await store.show(ids[0] ?? "")).toMatchObject({ verdict: "broken" });
    });

    test("what is needed of hosts is forgotten with the last job that needed it, and known again after", async () => {
      await using room = await make();
      const { store, clock } = room;
      await settled(room, "passed");
      clock.advance(3 * DAY);
      const old = ages({ fileSeconds: SOON, jobSeconds: DAY });
      await store.retire(old);
      const id = await submitted(store);
      expect(await granted(store, "lab-1")).toMatchObject({ jobId: id });
    });

    test("a key is free again when its job has left", async () => {
      await using room = await make();
      const { store, clock } = room;
      const first = await store.submit(order({}, { idempotencyKey: "k" }));
      await store.cancel("id" in first ? first.id : "", "enough");
      clock.advance(3 * DAY);
      await store.retire(ages({ fileSeconds: SOON, jobSeconds: DAY }));
      expect(await store.submit(order({}, { idempotencyKey: "k" }))).toMatchObject({
        kind: "queued",
      });
    });

    test("hosts that are lost for long are forgotten, but for drained ones and those at work", async () => {
      await using room = await make();
      const { store, clock } = room;
      for (const host of ["lab-1", "lab-2", "lab-3"]) await store.take(asking(host));
      await store.setDrain("lab-2", "new disk");
      clock.advance(200);
      await store.expire();
      clock.advance(DAY + 1);
      await store.take(asking("lab-3"));
      expect(await store.retire(ages({ hostSeconds: DAY }))).toMatchObject({ hosts: ["lab-1"] });
      const reopened = await room.reopen();
      const names = (await reopened.hosts()).map((host) => host.name);
      expect(names).toEqual(["lab-2", "lab-3"]);
    });

    test("revoked tokens are forgotten after their time, others never", async () => {
      await using room = await make();
      const { store, clock } = room;
      const ada = await store.addToken({ name: "ada", role: "submitter", hash: DIGEST });
      await store.addToken({ name: "bob", role: "submitter", hash: OTHER_DIGEST });
      await store.revokeToken(ada);
      clock.advance(DAY + 1);
      expect(await store.retire(ages({ tokenSeconds: DAY }))).toMatchObject({ tokens: 1 });
      expect(await store.tokens()).toMatchObject([{ name: "bob" }]);
      expect(store.tokenOf(OTHER_DIGEST)).toMatchObject({ name: "bob" });
    });

    test("an input stays while an open job names it, and leaves so long after its last use", async () => {
      await using room = await make();
      const { store, clock } = room;
      const mine = { owner: "ada", sha256: DIGEST };
      const bobs = { owner: "bob", sha256: DIGEST };
      for (const { owner } of [mine, bobs]) await store.addInput(owner, DIGEST, 3);
      const input = { sha256: DIGEST, bytes: 3, kind: "file", to: "/a" } as const;
      const id = await submitted(store, { job: job({ inputs: [input] }) });
      clock.advance(2 * DAY);
      const old = ages({ inputSeconds: DAY });
      expect((await store.retire(old)).inputs).toEqual([bobs]);
      expect(await store.dropInput(mine, DAY)).toBe(false);
      expect(await store.dropInput(bobs, DAY)).toBe(true);
      expect(await store.dropInput(bobs, DAY)).toBe(true);
      expect(await store.inputOf("bob", DIGEST)).toBeUndefined();
      await store.cancel(id, "enough");
      expect((await store.retire(old)).inputs).toEqual([]);
      clock.advance(DAY + 1);
      expect((await store.retire(old)).inputs).toEqual([mine]);
      await store.addInput("ada", DIGEST, 3);
      expect(await store.dropInput(mine, DAY)).toBe(false);
    });
  });

  describe(`${name}: what one owner may have`, () => {
    test("jobs in the queue are counted for each owner, over restarts too, and a repeat is no new one", async () => {
      await using room = await make();
      const { store } = room;
      const limited = (owner: string, key: string) =>
        order({}, { owner, queuedMax: 2, idempotencyKey: key });
      await store.submit(limited("ada", "1"));
      const second = await store.submit(limited("ada", "2"));
      expect(await store.submit(limited("ada", "3"))).toEqual({ kind: "queue-full", queued: 2 });
      expect(await store.submit(limited("ada", "2"))).toMatchObject({ kind: "known" });
      expect(await store.submit(limited("bob", "1"))).toMatchObject({ kind: "queued" });
      const reopened = await room.reopen();
      expect(await reopened.submit(limited("ada", "3"))).toMatchObject({ kind: "queue-full" });
      await reopened.cancel("id" in second ? second.id : "", "enough");
      expect(await reopened.submit(limited("ada", "3"))).toMatchObject({ kind: "queued" });
      await granted(reopened, "lab-1");
      expect(await reopened.submit(limited("ada", "4"))).toMatchObject({ kind: "queued" });
    });

    test("an input has the length that the job says", async () => {
      await using room = await make();
      await room.store.addInput("ada", DIGEST, 3);
      const input = { sha256: DIGEST, bytes: 3, kind: "file", to: "/a" } as const;
      const inputs = [input, { ...input, bytes: 4, to: "/b" }];
      expect(await room.store.submit(order({ job: job({ inputs }) }))).toEqual({
        kind: "input-differs",
        number: 1,
        bytes: 3,
      });
    });

    test("uploads count for their owner from their beginning, until they are given up", async () => {
      await using room = await make();
      const { store, clock } = room;
      const upload = (sha256: string, bytes: number, owner = "ada") =>
        store.beginInput({ owner, sha256, bytes, bytesMax: 10 });
      expect(await upload(DIGEST, 6)).toBeUndefined();
      expect(await upload(DIGEST, 6)).toBeUndefined();
      expect(await upload(OTHER_DIGEST, 5)).toBe(6);
      expect(await upload(OTHER_DIGEST, 5, "bob")).toBeUndefined();
      expect(await upload(OTHER_DIGEST, 4)).toBeUndefined();
      await store.addInput("ada", DIGEST, 6);
      expect(await upload("d3".repeat(32), 1)).toBe(10);
      clock.advance(DAY + 1);
      await store.retire(ages({ partSeconds: DAY }));
      expect(await upload("d3".repeat(32), 4)).toBeUndefined();
    });
  });
}

import { describe, expect, test } from "vitest";
import {
  asking,
  broken,
  DIGEST,
  job,
  OTHER_DIGEST,
  renewal,
  report,
} from "#test/kit/lease-messages.ts";
import { granted, kindsOf, PASSED, type StoreRoom, submitted } from "#test/kit/store-room.ts";

/** What every store promises of verdicts, cancelling, hosts and tokens; nothing else may be relied on by the rest of the service. */
export function describeStoreVerdicts(name: string, make: () => Promise<StoreRoom>): void {
  describe(`${name}: settling`, () => {
    test.each(["passed", "failed", "timed-out", "cancelled"] as const)(
      "%s ends the job, whatever attempts are left",
      async (kind) => {
        await using room = await make();
        const id = await submitted(room.store, { job: job({ attempts: 3 }) });
        const { lease } = await granted(room.store, "lab-1");
        const said = report({ kind, why: "because" });
        const taken = { kind: "taken", job: "settled" };
        expect(await room.store.settle(lease, "lab-1", said)).toEqual(taken);
        expect(await room.store.settle(lease, "lab-1", PASSED)).toEqual(taken);
        expect(await room.store.show(id)).toMatchObject({ verdict: kind, why: "because" });
        expect(await room.store.renew(lease, "lab-1", renewal("running"))).toMatchObject({
          kind: "fenced",
        });
      },
    );

    test("broken is tried again until the attempts are made, and a repeat changes nothing", async () => {
      await using room = await make();
      const { store } = room;
      const id = await submitted(store, { job: job({ attempts: 2 }) });
      const first = await granted(store, "lab-1");
      const queued = { kind: "taken", job: "queued" };
      expect(await store.settle(first.lease, "lab-1", broken("anywhere"))).toEqual(queued);
      expect(await store.settle(first.lease, "lab-1", broken("anywhere"))).toEqual(queued);
      const second = await granted(store, "lab-1");
      expect(second).toMatchObject({ jobId: id, attempt: 2 });
      expect(await store.settle(first.lease, "lab-1", PASSED)).toEqual(queued);
      await store.settle(second.lease, "lab-1", broken("anywhere"));
      expect(await store.show(id)).toMatchObject({
        verdict: "broken",
        attempts: 2,
        why: expect.stringContaining("all 2 attempts broke"),
      });
    });

    test("a restart of the daemon costs no attempt, a daemon that does nothing but restart does", async () => {
      await using room = await make();
      const { store } = room;
      const id = await submitted(store);
      const attempts = [];
      for (let job = "queued"; job === "queued"; ) {
        const { lease, attempt } = await granted(store, "lab-1");
        attempts.push(attempt);
        const settled = await store.settle(lease, "lab-1", broken("anywhere", "host-restarted"));
        job = settled.kind === "taken" ? settled.job : settled.kind;
      }
      expect(attempts).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
      expect(await store.show(id)).toMatchObject({
        verdict: "broken",
        attempts: 11,
        attemptsMax: 1,
      });
    });

    test("a fault that no attempt can mend ends the job", async () => {
      await using room = await make();
      const id = await submitted(room.store, { job: job({ attempts: 5 }) });
      const { lease } = await granted(room.store, "lab-1");
      await room.store.settle(lease, "lab-1", broken("never"));
      expect(await room.store.show(id)).toMatchObject({ verdict: "broken", attempts: 1 });
    });

    test("elsewhere is another host, as long as there is one that could", async () => {
      await using room = await make();
      const { store } = room;
      await store.take(asking("lab-2"));
      const id = await submitted(store, { job: job({ attempts: 3 }) });
      const first = await granted(store, "lab-1");
      await store.settle(first.lease, "lab-1", broken("elsewhere"));
      expect(await store.take(asking("lab-1"))).toBeUndefined();
      const { capacity } = asking("lab-2");
      const full = { ...capacity, slots: 0 };
      await store.take(asking("lab-2", { free: full }));
      expect(await store.take(asking("lab-1"))).toBeUndefined();
      expect(await store.show(id)).toMatchObject({ waiting: { reason: "busy" } });
      await store.setDrain("lab-2", "new disk");
      expect(await granted(store, "lab-1")).toMatchObject({ jobId: id, attempt: 2 });
    });

    test("a job that broke keeps its age", async () => {
      await using room = await make();
      const { store, clock } = room;
      const old = await submitted(store, { job: job({ attempts: 2 }) });
      const { lease } = await granted(store, "lab-1");
      clock.advance(10);
      await submitted(store, { job: job({ attempts: 2 }) });
      await store.settle(lease, "lab-1", broken("anywhere"));
      expect(await granted(store, "lab-1")).toMatchObject({ jobId: old });
    });

    test("report and artifacts of an attempt are kept", async () => {
      await using room = await make();
      const { store } = room;
      const id = await submitted(store);
      const { lease } = await granted(store, "lab-1");
      const artifacts = [
        { path: "b", bytes: 2, sha256: DIGEST },
        { path: "a", bytes: 1, sha256: OTHER_DIGEST },
      ];
      const logs = [{ log: "step-1", bytes: 7 }];
      await store.settle(lease, "lab-1", report({ kind: "passed" }, { artifacts, logs }));
      expect(await store.artifacts(id, 1)).toEqual([artifacts[1], artifacts[0]]);
      expect(await store.artifacts(id, 2)).toBeUndefined();
      expect(await store.show(id)).toMatchObject({ attemptList: [{ report: { logs } }] });
    });
  });

  describe(`${name}: cancelling`, () => {
    test("a queued job is over at once", async () => {
      await using room = await make();
      const id = await submitted(room.store);
      const settled = { state: "settled", verdict: "cancelled", why: "not needed" };
      expect(await room.store.cancel(id, "not needed")).toMatchObject(settled);
      expect(await room.store.cancel(id, "again")).toMatchObject(settled);
      expect(await room.store.take(asking("lab-1"))).toBeUndefined();
      expect(await kindsOf(room.store, id)).toEqual(["submitted", "cancel", "settled"]);
    });

    test("a running job's host hears of it and decides with its verdict", async () => {
      await using room = await make();
      const { store } = room;
      const id = await submitted(store);
      const { lease } = await granted(store, "lab-1");
      expect(await store.cancel(id, "not needed")).toMatchObject({
        state: "leased",
        cancel: "not needed",
      });
      expect(await store.renew(lease, "lab-1", renewal("booting"))).toMatchObject({
        cancel: "not needed",
      });
      await store.settle(lease, "lab-1", PASSED);
      expect(await store.cancel(id, "too late")).toMatchObject({ verdict: "passed" });
    });

    test("a cancelled job is not tried again, neither after a fault nor after a lost lease", async () => {
      await using room = await make();
      const { store, clock, leaseSeconds } = room;
      const ids = [];
      for (const host of ["lab-1", "lab-2"]) {
        ids.push(await submitted(store, { job: job({ attempts: 5 }) }));
        const { lease } = await granted(store, host);
        await store.cancel(ids.at(-1) ?? "", "not needed");
        if (host === "lab-1") await store.settle(lease, host, broken("anywhere"));
      }
      clock.advance(leaseSeconds + 1);
      await store.expire();
      for (const id of ids) expect(await store.show(id)).toMatchObject({ verdict: "cancelled" });
    });
  });

  describe(`${name}: hosts`, () => {
    test("a drained host finishes and gets nothing new until it is resumed", async () => {
      await using room = await make();
      const { store } = room;
      await submitted(store);
      const { lease } = await granted(store, "lab-1");
      await submitted(store);
      expect(await store.setDrain("lab-1", "new disk")).toMatchObject({ state: "draining" });
      expect(await store.setDrain("lab-1", "again")).toMatchObject({ drain: "new disk" });
      expect(await store.take(asking("lab-1"))).toBeUndefined();
      await store.settle(lease, "lab-1", PASSED);
      const reopened = await room.reopen();
      expect(await reopened.hosts()).toMatchObject([{ name: "lab-1", state: "drained" }]);
      expect(await reopened.setDrain("lab-1", undefined)).toMatchObject({ state: "ready" });
      await granted(reopened, "lab-1");
    });

    test("a silent host is lost until it is heard again", async () => {
      await using room = await make();
      const { store, clock } = room;
      await store.take(asking("lab-1"));
      await store.take(asking("lab-2"));
      clock.advance(170);
      await store.take(asking("lab-2"));
      clock.advance(20);
      expect(await store.expire()).toMatchObject({ hosts: ["lab-1"] });
      expect(await store.expire()).toMatchObject({ hosts: [] });
      const reopened = await room.reopen();
      expect(await reopened.hosts()).toMatchObject([{ state: "lost" }, { state: "ready" }]);
      await reopened.take(asking("lab-1"));
      expect(await reopened.hosts()).toMatchObject([{ state: "ready" }, { state: "ready" }]);
    });

    test("a host shows what it does and what broke there", async () => {
      await using room = await make();
      const { store, clock } = room;
      const id = await submitted(store, { job: job({ attempts: 2 }) });
      const { lease } = await granted(store, "lab-1");
      await store.settle(lease, "lab-1", broken("anywhere"));
      clock.advance(1);
      const second = await granted(store, "lab-1");
      await store.renew(second.lease, "lab-1", renewal("booting"));
      expect(await store.hosts()).toMatchObject([
        {
          name: "lab-1",
          doing: [{ jobId: id, attempt: 2, phase: "booting" }],
          faults: [{ jobId: id, attempt: 1, code: "machine-crashed", message: "it broke" }],
        },
      ]);
    });
  });

  describe(`${name}: tokens`, () => {
    test("a token is found by its hash until it is revoked, also after a restart", async () => {
      await using room = await make();
      const id = await room.store.addToken({ name: "ada", role: "submitter", hash: DIGEST });
      const other = await room.store.addToken({ name: "lab-1", role: "host", hash: OTHER_DIGEST });
      expect(room.store.tokenOf(DIGEST)).toMatchObject({ id, name: "ada", role: "submitter" });
      const store = await room.reopen();
      expect(store.tokenOf(DIGEST)).toMatchObject({ id });
      expect(await store.revokeToken(id)).toBe(true);
      expect(await store.revokeToken(id)).toBe(true);
      expect(store.tokenOf(DIGEST)).toBeUndefined();
      const again = await room.reopen();
      expect(again.tokenOf(DIGEST)).toBeUndefined();
      expect(again.tokenOf(OTHER_DIGEST)).toMatchObject({ id: other });
      const listed = await again.tokens();
      expect(listed).toHaveLength(2);
      expect(JSON.stringify(listed)).not.toContain(DIGEST);
    });
  });
}

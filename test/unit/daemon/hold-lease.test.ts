import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { HeldLease } from "#host/daemon/hold-lease.ts";
import { Fenced, NotTaken, type Uplink } from "#host/daemon/ports.ts";
import type { Grant, RenewReply, RenewRequest } from "#protocol/lease.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const GRANT: Grant = {
  lease: "ab".repeat(16),
  jobId: "0123456789abcdef",
  attempt: 1,
  job: { image: "micro", steps: [{ name: "build", run: "make" }] },
  lengthSeconds: 300,
  timeoutSeconds: 3600,
};

function held(answer: (request: RenewRequest) => Promise<RenewReply>) {
  const asked: RenewRequest[] = [];
  const renew: Uplink["renew"] = async (_, request) => {
    asked.push(request);
    return await answer(request);
  };
  return { asked, lease: new HeldLease({ renew } as Uplink, GRANT) };
}

test("a service that answers at once what it should hold is asked once a second and no more", async () => {
  const { asked, lease } = held(async () => ({ secondsLeft: 300 }));
  await vi.advanceTimersByTimeAsync(10_000);
  lease[Symbol.dispose]();
  expect(asked.length).toBeGreaterThan(5);
  expect(asked.length).toBeLessThan(15);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(asked.length).toBeLessThan(15);
});

test("a renewal that is refused for whatever reason ends nothing, and is tried again", async () => {
  const { asked, lease } = held(async () => {
    throw new NotTaken("the request does not fit its schema");
  });
  await vi.advanceTimersByTimeAsync(3_500);
  expect(lease.over.aborted).toBe(false);
  expect(asked.length).toBeGreaterThan(2);
  lease[Symbol.dispose]();
});

test("a lease that is lost ends the attempt, and is asked for no more", async () => {
  const { asked, lease } = held(async () => {
    throw new Fenced("the job goes on without it");
  });
  await vi.advanceTimersByTimeAsync(60_000);
  expect(lease.over.reason).toMatchObject({ kind: "cancelled" });
  expect(asked).toHaveLength(1);
  lease[Symbol.dispose]();
});

test("a cancel ends the attempt, and the lease is renewed until it is disposed", async () => {
  const { asked, lease } = held(async () => ({ secondsLeft: 300, cancel: "ada said so" }));
  await vi.advanceTimersByTimeAsync(10);
  expect(lease.over.reason).toMatchObject({ kind: "cancelled", message: "ada said so" });
  await vi.advanceTimersByTimeAsync(180_000);
  expect(asked.length).toBeGreaterThan(2);
  expect(asked.length).toBeLessThan(6);
  lease[Symbol.dispose]();
});

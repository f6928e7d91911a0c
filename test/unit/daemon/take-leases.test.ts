import { once } from "node:events";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Uplink } from "#host/daemon/ports.ts";
import { type LeaseTaking, takeLeases } from "#host/daemon/take-leases.ts";
import type { LeaseRequest } from "#protocol/lease.ts";
import { asking } from "#test/kit/lease-messages.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** A loop over an uplink that answers as the test says; tells what was asked and warned of. */
function taking(take: Uplink["take"]) {
  const asked: LeaseRequest[] = [];
  const warned: string[] = [];
  const uplink = {
    take: async (request: LeaseRequest, signal: AbortSignal) => {
      asked.push(request);
      return await take(request, signal);
    },
  };
  let memoryMiB = 1000;
  const stop = new AbortController();
  const log = { warn: (words: string) => warned.push(words), error: () => undefined };
  const parts = {
    host: "lab-1",
    uplink,
    book: { requestId: async () => "ab".repeat(16) },
    log,
    offer: async () => {
      memoryMiB -= 1;
      return { ...asking("lab-1"), free: { slots: 1, cpus: 1, memoryMiB, diskMiB: 1 } };
    },
    changed: () => new AbortController().signal,
  };
  const done = takeLeases(parts as unknown as LeaseTaking, stop.signal);
  const end = async () => {
    stop.abort(new Error("enough"));
    await done;
  };
  return { asked, warned, end };
}

test("while the service is away the offer is made anew, so that it is true when the service is back", async () => {
  const { asked, end } = taking(async (_, signal) => {
    await once(signal, "abort");
    throw signal.reason;
  });
  await vi.advanceTimersByTimeAsync(300_000);
  expect(asked.length).toBeGreaterThan(2);
  expect(asked.length).toBeLessThan(6);
  expect(new Set(asked.map(({ free }) => free.memoryMiB)).size).toBe(asked.length);
  await end();
});

test("a service that ends each wait at once is asked every two seconds, and the log says so once", async () => {
  const { asked, warned, end } = taking(async () => undefined);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(asked.length).toBeGreaterThan(20);
  expect(asked.length).toBeLessThan(40);
  expect(warned).toEqual([expect.stringMatching(/another daemon/)]);
  await end();
});

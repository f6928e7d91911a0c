import { expect, test } from "vitest";
import {
  faultOfStop,
  isShutdownByHost,
  stopOfEvent,
  stopOfState,
} from "#host/hypervisor/machine-end.ts";

test("what the guest did is the job's, what the host did is the host's", () => {
  const blames = (
    ["shutdown", "panicked", "failed", "ended-by-host", "ended-unseen", "disk-full"] as const
  ).map((stop) => [stop, faultOfStop("m", stop).blame]);
  expect(blames).toEqual([
    ["shutdown", "job"],
    ["panicked", "job"],
    ["failed", "host"],
    ["ended-by-host", "host"],
    ["ended-unseen", "host"],
    ["disk-full", "host"],
  ]);
});

test("the shutdown event before the stop says whether the host asked", () => {
  expect(isShutdownByHost("shutdown", "host")).toBe(true);
  expect(isShutdownByHost("shutdown", "guest")).toBe(false);
  expect(stopOfEvent("shutdown", "host")).toBeUndefined();
});

test("a state that only says shut down does not say who asked", () => {
  expect(stopOfState("shutoff", "shutdown")).toBe("ended-unseen");
  expect(stopOfState("shutoff", "crashed")).toBe("failed");
  expect(stopOfState("running", "booted")).toBeUndefined();
});

import { fstatSync } from "node:fs";
import { expect, test } from "vitest";
import { readSupervisor } from "#config/supervisor-config.ts";

test("without systemd there is nothing", () => {
  const none = { notifySocket: undefined, watchdogMs: undefined, isJournal: false };
  expect(readSupervisor({}, 7)).toEqual(none);
  expect(readSupervisor({ NOTIFY_SOCKET: "", WATCHDOG_USEC: "0", JOURNAL_STREAM: "x" }, 7)).toEqual(
    none,
  );
  expect(readSupervisor({ NOTIFY_SOCKET: "vsock:2:1", WATCHDOG_USEC: "-1" }, 7)).toEqual(none);
});

test("a path and an abstract name are sockets, and the watchdog is in microseconds", () => {
  expect(readSupervisor({ NOTIFY_SOCKET: "/run/systemd/notify" }, 7).notifySocket).toBe(
    "/run/systemd/notify",
  );
  expect(readSupervisor({ NOTIFY_SOCKET: "@notify" }, 7).notifySocket).toBe("@notify");
  expect(readSupervisor({ WATCHDOG_USEC: "60000000" }, 7).watchdogMs).toBe(60_000);
});

test("a watchdog of another process is not ours", () => {
  const watched = { WATCHDOG_USEC: "60000000" };
  expect(readSupervisor({ ...watched, WATCHDOG_PID: "8" }, 7).watchdogMs).toBe(undefined);
  expect(readSupervisor({ ...watched, WATCHDOG_PID: "7" }, 7).watchdogMs).toBe(60_000);
});

test("the journal is where standard error leads", () => {
  const { dev, ino } = fstatSync(2, { bigint: true });
  expect(readSupervisor({ JOURNAL_STREAM: `${dev}:${ino}` }, 7).isJournal).toBe(true);
  expect(readSupervisor({ JOURNAL_STREAM: `${dev}:1${ino}` }, 7).isJournal).toBe(false);
});

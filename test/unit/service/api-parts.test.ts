import { describe, expect, test } from "vitest";
import { Bell } from "#lib/bell.ts";
import { isLocal, isLoopback, listenAddressText, parseListenAddress } from "#lib/listen-address.ts";
import { Buckets, subscriberOf } from "#service/api/limits.ts";
import { isSlow } from "#service/api/remarks.ts";

describe("addresses to listen on", () => {
  test.each(["unix:/run/x.sock", "127.0.0.1:8420", "[::1]:0", "[2001:db8::1]:443", "0.0.0.0:80"])(
    "%s is one",
    (text) => {
      const address = parseListenAddress(text);
      expect(address && listenAddressText(address)).toBe(text);
    },
  );

  test.each([
    "",
    "8420",
    "localhost:8420",
    "127.0.0.1",
    "127.0.0.1:65536",
    "::1:8420",
    "[127.0.0.1]:1",
    "unix:relative",
    `unix:/${"x".repeat(107)}`,
    "unix:/a\0b",
  ])("%j is none", (text) => {
    expect(parseListenAddress(text)).toBeUndefined();
  });

  test("loopback addresses and Unix sockets stay on this machine", () => {
    const local = ["unix:/x", "127.1.2.3:1", "[::1]:1"];
    const open = ["0.0.0.0:1", "[::]:1", "10.0.0.1:1"];
    for (const text of [...local, ...open]) {
      const address = parseListenAddress(text);
      expect(address && isLocal(address)).toBe(local.includes(text));
    }
  });
});

test.each([
  ["192.0.2.7", "192.0.2.7"],
  ["::ffff:192.0.2.7", "192.0.2.7"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2"],
  ["2001:db8:1:2::9", "2001:db8:1:2"],
  ["2001:db8::9", "2001:db8:0:0"],
  ["fe80::1%eth0", "fe80:0:0:0"],
  ["::1", "0:0:0:0"],
])("%s stands for %s", (address, subscriber) => {
  expect(subscriberOf(address)).toBe(subscriber);
});

test("loopback is known in all its forms", () => {
  expect(["::1", "127.0.0.1", "::ffff:127.0.0.1"].every(isLoopback)).toBe(true);
  expect(["::", "128.0.0.1", "::ffff:10.0.0.1", "fe80::1"].some(isLoopback)).toBe(false);
});

test("a bucket gives what it has at once, then at its rate, to each key its own", () => {
  const buckets = new Buckets();
  const rate = { atOnce: 2, perSecond: 10 };
  expect([0, 0, 0].map(() => buckets.take("a", rate, 0))).toEqual([0, 0, 100]);
  expect(buckets.take("b", rate, 0)).toBe(0);
  expect(buckets.take("a", rate, 50)).toBe(50);
  expect(buckets.take("a", rate, 100)).toBe(0);
  expect([0, 0, 0].map(() => buckets.take("a", rate, 60_000))).toEqual([0, 0, 100]);
});

test("a bell that rang before is heard at once; else after a ring, the time, or the end", async () => {
  const bell = new Bell();
  const controller = new AbortController();
  bell.ring();
  await bell.heard(60_000, controller.signal);
  const hearing = bell.heard(60_000, controller.signal);
  bell.ring();
  await hearing;
  await bell.heard(1, controller.signal);
  const ending = bell.heard(60_000, controller.signal);
  controller.abort();
  await ending;
  await bell.heard(60_000, controller.signal);
});

test("an answer that was held back on purpose is not called slow", () => {
  expect(isSlow("showJob", 2)).toBe(true);
  for (const operation of ["takeLease", "renewLease", "waitForJob"])
    expect(isSlow(operation, 60)).toBe(false);
});

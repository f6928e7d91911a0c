import { expect, test, vi } from "vitest";
import { Notifier } from "#lib/notify.ts";
import { Seldom } from "#lib/seldom.ts";
import { keepAlive } from "#lib/watchdog.ts";

/** Counts signs of life instead of sending them. */
class CountingNotifier extends Notifier {
  signs = 0;
  constructor() {
    super(undefined, () => undefined);
  }
  override alive(): void {
    this.signs += 1;
  }
}

test("signs of life come three times in systemd's patience, and end with the process's own", async () => {
  vi.useFakeTimers();
  const notifier = new CountingNotifier();
  const watching = keepAlive(notifier, 30_000, async () => undefined);
  await vi.advanceTimersByTimeAsync(29_999);
  expect(notifier.signs).toBe(3);
  watching[Symbol.dispose]();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(notifier.signs).toBe(3);
  vi.useRealTimers();
});

test("a thread that does not answer, or is gone, gives no sign; one that answers again does", async () => {
  vi.useFakeTimers();
  const notifier = new CountingNotifier();
  let answer = Promise.withResolvers<void>();
  let asked = 0;
  const answers = () => {
    asked += 1;
    return answer.promise;
  };
  using _ = keepAlive(notifier, 30_000, answers);
  await vi.advanceTimersByTimeAsync(100_000);
  expect({ asked, signs: notifier.signs }).toEqual({ asked: 1, signs: 0 });
  answer.reject(new Error("the thread died"));
  await vi.advanceTimersByTimeAsync(30_000);
  expect(notifier.signs).toBe(0);
  answer = Promise.withResolvers();
  answer.resolve();
  await vi.advanceTimersByTimeAsync(30_000);
  expect(notifier.signs).toBe(3);
  vi.useRealTimers();
});

test("the same is said once in a while, with how often it was not said, of a bounded number of things", () => {
  const seldom = new Seldom(1000, 2);
  expect(seldom.take("a", 0)).toBe(0);
  expect(seldom.take("a", 999)).toBe(undefined);
  expect(seldom.take("a", 999)).toBe(undefined);
  expect(seldom.take("a", 1000)).toBe(2);
  expect(seldom.take("b", 1000)).toBe(0);
  expect(seldom.take("c", 1000)).toBe(0);
  // Forgotten for c, so said too early, and not counted.
  expect(seldom.take("a", 1001)).toBe(0);
});

import { expect, test } from "vitest";
import { openSchedule, scheduleProblem } from "#host/upkeep/schedule.ts";

test.for(["*/5 * * * *", "0 4 * * sun", "*/10 * * * * *", "@daily", "17 3 1,15 * *"])(
  "'%s' has a next moment, and it is not now",
  (text) => {
    expect(scheduleProblem(text)).toBeUndefined();
    const ms = openSchedule(text).msToNext();
    expect(ms).toBeGreaterThan(0);
    expect(ms).toBeLessThanOrEqual(31 * 86_400_000);
  },
);

test("the next moment is the one that the expression names, by this host's clock", () => {
  const atMs = Date.now() + openSchedule("30 4 * * *").msToNext();
  const next = new Date(Math.round(atMs / 10_000) * 10_000);
  expect([next.getHours(), next.getMinutes(), next.getSeconds()]).toEqual([4, 30, 0]);
});

test.for(["", "5", "61 * * * *", "* * * *", "0 0 31 2 *", "every day", "* * * * * * *"])(
  "'%s' is refused with a reason",
  (text) => {
    expect(scheduleProblem(text)).toMatch(/^is no cron expression: ./);
    expect(() => openSchedule(text)).toThrow(/is no cron expression/);
  },
);

import { expect, test } from "vitest";
import { Caretaker } from "#host/upkeep/caretaker.ts";
import type { Chore } from "#host/upkeep/chore.ts";
import { eventually } from "#test/kit/eventually.ts";
import { saidLog } from "#test/kit/said-log.ts";

const SOON = { msToNext: () => 5 };
const NEVER = { msToNext: () => 3_600_000 };

function chore(run: Chore["run"], more: Partial<Chore> = {}): Chore {
  return { name: "disk", schedule: SOON, isAtStart: false, limitMs: 60_000, run, ...more };
}

const done = (fields = {}, isNews = true) => Promise.resolve({ isNews, fields });

test("a chore that takes longer than its period never runs twice at once, and holds up no other", async () => {
  let [atOnce, most, others] = [0, 0, 0];
  const { promise, resolve } = Promise.withResolvers<void>();
  await using _ = new Caretaker(
    [
      chore(async () => {
        atOnce += 1;
        most = Math.max(most, atOnce);
        await promise;
        atOnce -= 1;
        return await done();
      }),
      chore(
        async () => {
          others += 1;
          return await done();
        },
        { name: "sweep" },
      ),
    ],
    saidLog().log,
  );
  await eventually(() => others > 5, 2000);
  expect([atOnce, most]).toEqual([1, 1]);
  resolve();
  await eventually(() => atOnce === 0, 2000);
});

test("a chore that throws is said and counted, and runs again at its time", async () => {
  let runs = 0;
  const { log, lines } = saidLog();
  await using caretaker = new Caretaker(
    [
      chore(async () => {
        runs += 1;
        if (runs === 1) throw new Error("the disk is gone");
        return await done({ removed: 3 });
      }),
    ],
    log,
  );
  await eventually(() => lines.length >= 2, 2000);
  expect(lines.slice(0, 2)).toEqual([
    {
      level: "warn",
      words: "chore",
      fields: {
        chore: "disk",
        outcome: "failed",
        durationMs: expect.any(Number),
        error: expect.objectContaining({ message: "the disk is gone" }),
      },
    },
    {
      level: "info",
      words: "chore",
      fields: { chore: "disk", outcome: "done", durationMs: expect.any(Number), removed: 3 },
    },
  ]);
  const [numbers] = caretaker.numbers;
  expect(numbers).toMatchObject({ name: "disk", failures: 1, lastMs: expect.any(Number) });
  expect(numbers?.lastSuccessMs).toBeGreaterThan(0);
});

test("each run leaves one line, and one with nothing to tell is for who looks closely", async () => {
  const { log, lines } = saidLog();
  await using caretaker = new Caretaker([chore(() => done({}, false))], log);
  await eventually(() => lines.length >= 3, 2000);
  expect(new Set(lines.map(({ level }) => level))).toEqual(new Set(["debug"]));
  expect(lines.length).toBe(caretaker.numbers[0]?.runs);
});

test("a run that takes too long hears of it, and so does one that runs when the daemon stops", async () => {
  const heard: string[] = [];
  const untilTold = async (signal: AbortSignal): Promise<never> => {
    await new Promise((end) => signal.addEventListener("abort", end, { once: true }));
    heard.push((signal.reason as Error).message);
    throw signal.reason;
  };
  const { log, lines } = saidLog();
  {
    await using _ = new Caretaker(
      [
        chore(untilTold, { isAtStart: true, limitMs: 10, schedule: NEVER }),
        chore(untilTold, { isAtStart: true, name: "sweep", schedule: NEVER }),
      ],
      log,
    );
    await eventually(() => heard.length === 1, 2000);
  }
  expect(heard).toEqual(["not done within 0.01 s", "the daemon stops"]);
  expect(lines).toHaveLength(1);
});

test.for([-10, 10])(
  "a wall clock that is set by %i years makes a chore due once, and not for each moment between; nor does it wait for years",
  async (years) => {
    let jumpedMs = 0;
    const wallMs = () => Date.now() + jumpedMs;
    const atMs: number[] = [];
    await using _ = new Caretaker(
      [
        chore(
          () => {
            atMs.push(performance.now());
            if (atMs.length === 3) jumpedMs = years * 365 * 86_400_000;
            return done();
          },
          { schedule: { msToNext: () => 50 - (wallMs() % 50) } },
        ),
      ],
      saidLog().log,
      wallMs,
    );
    await eventually(() => atMs.length >= 6, 3000);
    expect((atMs.at(-1) ?? 0) - (atMs[0] ?? 0)).toBeGreaterThan(100);
  },
);

import { expect } from "vitest";
import { ChaosProxy, type Weather } from "#test/kit/chaos-proxy.ts";
import { eventually } from "#test/kit/eventually.ts";
import { lossyProxy, type Repeats } from "#test/kit/lossy-proxy.ts";
import { randomOf } from "#test/kit/seeds.ts";
import { LEASE_SECONDS } from "#test/kit/service-room.ts";
import { passing } from "./daemon-dies.ts";
import { PAPER_HOST, type PaperStage } from "./paper-stage.ts";
import type { Row } from "./row.ts";

const FIVE_SECONDS = { lines: 50 };
const passes = { verdict: "passed", counting: FIVE_SECONDS } as const;

/** A bad network between the daemon and the service, from the middle of a step on, for a while. */
function weather(weather: Weather, seconds: number, isCut = false) {
  return async (stage: PaperStage): Promise<void> => {
    const proxy = await behindProxy(stage);
    const id = await stage.submit(passes);
    await eventually(async () => (await stage.room.log(id, "step-1")).includes("line 5 "), 20_000);
    proxy.weather = weather;
    if (isCut) proxy.cut();
    await passing(seconds);
    proxy.weather = { kind: "clear" };
  };
}

async function behindProxy(stage: PaperStage, at: Weather = { kind: "clear" }) {
  const { room } = stage;
  const port = Number(new URL(room.service.url).port);
  const proxy = stage.use(await ChaosProxy.open({ port: 0 }, { port }));
  proxy.weather = at;
  await room.start(PAPER_HOST, { url: proxy.url });
  return proxy;
}

/** What a network between the daemon and the service does. */
export const PAPER_NETWORK: readonly Row[] = [
  {
    id: "F-78",
    phase: "starting",
    fault: "the service is not there when the daemon starts",
    fakes: async (stage) => {
      const proxy = await behindProxy(stage, { kind: "refused" });
      await stage.submit(passes);
      await passing(3);
      proxy.weather = { kind: "clear" };
    },
  },
  {
    id: "F-82",
    phase: "running",
    fault: "the service is silent for 40 s: connections are made, nothing is said",
    fakes: weather({ kind: "silent" }, 40),
  },
  {
    id: "F-82",
    phase: "running",
    fault: "questions arrive, answers do not, for 40 s",
    fakes: weather({ kind: "deaf" }, 40),
  },
  {
    id: "F-82",
    phase: "running",
    fault: "answers trickle, a byte a second, for 60 s",
    fakes: weather({ kind: "trickle", bytes: 1, everyMs: 1000 }, 60),
  },
  {
    id: "F-82",
    phase: "running",
    fault: "answers are late by half a second",
    fakes: weather({ kind: "slow", delayMs: 500 }, 10),
  },
  {
    id: "F-83",
    phase: "running",
    fault: "each connection ends after 100 bytes of an answer, for 10 s",
    isCore: true,
    fakes: weather({ kind: "truncated", afterBytes: 100 }, 10, true),
  },
  {
    id: "F-83",
    phase: "running",
    fault: "each connection is reset after 100 bytes of an answer, for 10 s",
    fakes: weather({ kind: "reset", afterBytes: 100 }, 10, true),
  },
  {
    id: "F-83",
    phase: "running",
    fault: "all connections are reset, and none is made for 10 s",
    fakes: weather({ kind: "refused" }, 10, true),
  },
  {
    id: "F-84",
    phase: "any",
    fault: "all that is said to the service is said twice, leases, logs and verdicts too",
    isCore: true,
    fakes: async (stage) => {
      const { room } = stage;
      const isChange: Repeats = ({ method }) => method !== "GET" && method !== "HEAD";
      const proxy = stage.use(await lossyProxy(room.service.url, () => false, isChange));
      await room.start(PAPER_HOST, { url: proxy.url });
      for (let job = 0; job < 4; job += 1)
        await stage.submit({ ...passes, counting: { lines: 10 } });
    },
  },
  {
    id: "F-86",
    phase: "any",
    fault: "three of ten answers are lost, whatever they answer",
    fakes: async (stage) => {
      const { room } = stage;
      const random = randomOf(86);
      const proxy = stage.use(await lossyProxy(room.service.url, () => random() < 0.3));
      await room.start(PAPER_HOST, { url: proxy.url });
      for (let job = 0; job < 4; job += 1)
        await stage.submit({ ...passes, counting: { lines: 10 } });
    },
  },
  {
    id: "F-88",
    phase: "any",
    fault: "names that cannot be looked up, slowly or wrongly",
    notTried:
      "the resolver is the system's; a name that is not found is a service that is away (F-79), and Node looks names up in threads that nothing else of ours waits for",
  },
  {
    id: "F-89",
    phase: "running",
    fault: "cut off for twice its lease: another host has the job, and this one hears so",
    fakes: partitioned,
  },
  {
    id: "F-93",
    phase: "any",
    fault: "a hundred cancels that race with the job's own end",
    fakes: async ({ room }) => {
      await room.start(PAPER_HOST);
      const random = randomOf(93);
      const ids = [];
      for (let job = 0; job < 100; job += 1) {
        const id = await room.submit(["true"]);
        ids.push(id);
        await passing(random() * 0.2);
        await room.ask("POST", `/v1/jobs/${id}/cancel`, {});
      }
      for (const id of ids) {
        const { verdict, attemptList } = await room.settled(id);
        expect(["passed", "cancelled"]).toContain(verdict);
        expect(attemptList.length).toBeLessThanOrEqual(1);
        const says = await room.events(id);
        expect(says.filter((line) => /^attempt 1 on/.test(line)).length).toBe(attemptList.length);
      }
    },
  },
  {
    id: "F-94",
    phase: "delivering",
    fault: "the service comes back, and sixteen hosts have something to deliver",
    fakes: comesBack,
  },
];

async function partitioned(stage: PaperStage): Promise<void> {
  const { room } = stage;
  const proxy = await behindProxy(stage);
  const mark = `${room.service.folder}/mark`;
  const run = `if [ -e ${mark} ]; then echo again; else touch ${mark}; sleep 600; fi`;
  const attempts = [{ kind: "broken", isFenced: true }, { kind: "passed" }] as const;
  const logs = { "step-1": "again\n" };
  const id = await stage.submit({ verdict: "passed", attempts, logs }, {}, [run]);
  await eventually(async () => (await room.show(id)).phase === "running", 20_000);
  proxy.weather = { kind: "silent" };
  // What it has asked already would be answered with the job once more, into nowhere, and this clock brings no end of that lease.
  proxy.cut();
  room.service.clock.advance(2 * LEASE_SECONDS);
  await room.service.store.expire();
  await room.start("other");
  await room.settled(id);
  proxy.weather = { kind: "clear" };
}

/** No host may ask more often than this, whatever it has to say. */
const ASKS_EACH_SECOND_MAX = 30;
const HOSTS = 16;

async function comesBack(stage: PaperStage): Promise<void> {
  const { room } = stage;
  const atMs: number[] = [];
  let isAway = false;
  const proxy = stage.use(
    await lossyProxy(room.service.url, () => {
      if (!isAway) atMs.push(performance.now());
      return isAway;
    }),
  );
  for (let host = 0; host < HOSTS; host += 1)
    await room.start(host === 0 ? PAPER_HOST : `drill-${host}`, { url: proxy.url });
  const ids: string[] = [];
  for (let job = 0; job < 2 * HOSTS; job += 1)
    ids.push(await stage.submit({ ...passes, counting: { lines: 40 } }));
  await eventually(async () => {
    const shown = await Promise.all(ids.map((id) => room.show(id)));
    return shown.every(({ phase }) => phase === "running");
  }, 30_000);
  isAway = true;
  await passing(10);
  isAway = false;
  atMs.length = 0;
  for (const id of ids) await room.settled(id);
  const busiest = Math.max(
    ...atMs.map((from) => atMs.filter((ms) => ms >= from && ms < from + 1000).length),
  );
  expect(busiest).toBeLessThan(HOSTS * ASKS_EACH_SECOND_MAX);
}

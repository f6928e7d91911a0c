import { beforeEach, expect, onTestFinished, test } from "vitest";
import { asking, broken, job, report } from "#test/kit/lease-messages.ts";
import { ServiceRoom } from "#test/kit/service-room.ts";

let room: ServiceRoom;
let ada: string;
let lab: string;
let id: string;
let held: string;

beforeEach(async () => {
  room = await ServiceRoom.open();
  onTestFinished(() => room[Symbol.asyncDispose]());
  ada = await room.token("ada", "submitter");
  lab = await room.token("lab-1", "host");
  id = (await room.ask("POST", "/v1/jobs", { token: ada, json: { job: job() } })).json.id;
  held = (await room.ask("POST", "/v1/leases", { token: lab, json: asking("lab-1") })).json.lease;
});

type Event = { readonly id: string; readonly data: Record<string, unknown> };

const accept = { accept: "text/event-stream" };

/** Reads events until the stream ends, or `isEnough`. */
async function read(
  answer: Response,
  isEnough: (events: readonly Event[]) => boolean = () => false,
): Promise<readonly Event[]> {
  const events: Event[] = [];
  let text = "";
  for await (const piece of answer.body as unknown as AsyncIterable<Uint8Array>) {
    text += Buffer.from(piece).toString();
    const blocks = text.split("\n\n");
    text = blocks.pop() ?? "";
    for (const block of blocks) {
      const match = /^id: (.*)\ndata: (.*)$/.exec(block);
      if (match !== null) events.push({ id: match[1] ?? "", data: JSON.parse(match[2] ?? "") });
    }
    if (isEnough(events)) break;
  }
  return events;
}

function logOf(events: readonly Event[]): string {
  return events
    .map(({ data }) => Buffer.from(String(data["base64"]), "base64").toString())
    .join("");
}

function write(offset: number, bytes: string | Uint8Array) {
  return room.ask("PUT", `/v1/leases/${held}/logs/output?offset=${offset}`, { token: lab, bytes });
}

function settle() {
  const json = report({ kind: "passed" });
  return room.ask("POST", `/v1/leases/${held}/verdict`, { token: lab, json });
}

function follow(what: string, headers: Record<string, string> = {}) {
  return room.fetch("GET", `/v1/jobs/${id}/${what}`, {
    token: ada,
    headers: { ...accept, ...headers },
  });
}

test("a log is followed while it grows, ends with its attempt, and is resumed by offset", async () => {
  await write(0, "one ");
  const answer = await follow("logs/output");
  expect(answer.headers.get("content-type")).toContain("text/event-stream");
  const reading = read(answer);
  await write(4, "two ");
  const part = read(await follow("logs/output"), (events) => logOf(events) === "one two ");
  expect((await part).at(-1)?.id).toBe("1-8");
  await write(8, "three");
  await settle();
  expect(logOf(await reading)).toBe("one two three");
  expect(logOf(await read(await follow("logs/output", { "last-event-id": "8" })))).toBe("three");
  expect((await follow("logs/output", { "last-event-id": "13" })).status).toBe(204);
});

test("a follower that names no attempt goes on with the next one, and misses nothing of it", async () => {
  await room[Symbol.asyncDispose]();
  room = await ServiceRoom.open();
  onTestFinished(() => room[Symbol.asyncDispose]());
  ada = await room.token("ada", "submitter");
  lab = await room.token("lab-1", "host");
  const json = { job: job({ attempts: 2 }) };
  id = (await room.ask("POST", "/v1/jobs", { token: ada, json })).json.id;
  const lease = async () =>
    (await room.ask("POST", "/v1/leases", { token: lab, json: asking("lab-1") })).json.lease;
  held = await lease();
  await write(0, "the first attempt's log, which is long");
  const first = read(await follow("logs/output"), (events) => events.length > 0);
  const place = (await first).at(-1)?.id ?? "";
  expect(place).toBe("1-38");
  const token = lab;
  await room.ask("POST", `/v1/leases/${held}/verdict`, { token, json: broken("anywhere") });

  // The job is queued again: whoever comes back waits for its next attempt.
  const waiting = read(await follow("logs/output", { "last-event-id": place }));
  held = await lease();
  await write(0, "the second");
  await settle();
  const events = await waiting;
  expect([logOf(events), events.at(-1)?.id]).toEqual(["the second", "2-10"]);
  const missed = await read(await follow("logs/output", { "last-event-id": place }));
  expect(logOf(missed)).toBe("the second");
  expect((await follow("logs/output", { "last-event-id": "2-10" })).status).toBe(204);
  // Who names an attempt counts its bytes.
  const named = await follow("logs/output?attempt=1", { "last-event-id": "34" });
  const rest = await read(named);
  expect([logOf(rest), rest.at(-1)?.id]).toEqual(["long", "38"]);
});

test("a revoked token's streams and long polls end, and a host of one gets no lease any more", async () => {
  const eve = await room.token("eve", "viewer");
  const admin = await room.token("root", "admin");
  const other = await room.token("lab-2", "host");
  const tokens = (await room.ask("GET", "/v1/tokens", { token: admin })).json.tokens;
  const revoke = (name: string) => {
    const token = tokens.find((one) => one.name === name);
    return room.ask("DELETE", `/v1/tokens/${token?.id}`, { token: admin });
  };
  const answer = await room.fetch("GET", `/v1/jobs/${id}/logs/output`, {
    token: eve,
    headers: accept,
  });
  const json = asking("lab-2", { waitSeconds: 60 });
  const leasing = room.ask("POST", "/v1/leases", { token: other, json });
  const waiting = room.ask("GET", `/v1/jobs/${id}/wait?seconds=60`, { token: eve });
  const text = async () => (await room.ask("GET", "/metrics", { token: admin })).text;
  await expect.poll(text).toMatch(/testbed_hosts_waiting 1\n(.*\n)*testbed_waits_open 2\n/);
  await revoke("eve");
  await revoke("lab-2");
  expect(await read(answer)).toEqual([]);
  expect((await waiting).json.state).toBe("leased");
  expect((await leasing).status).toBe(204);
});

test("a log of many pieces arrives whole, whatever its bytes", async () => {
  const bytes = Buffer.alloc(700_000, Buffer.from([0, 255, 10, 13, 128]));
  await write(0, bytes);
  await settle();
  const events = await read(await follow("logs/output"));
  const got = Buffer.concat(
    events.map(({ data }) => Buffer.from(String(data["base64"]), "base64")),
  );
  expect(got.equals(bytes)).toBe(true);
});

test("the history is told as a list, and followed to its end", async () => {
  const list = await room.ask("GET", `/v1/jobs/${id}/events?after=1`, { token: ada });
  expect(list.json.events[0]).toMatchObject({ number: 2 });
  const reading = read(await follow("events"));
  await settle();
  const events = await reading;
  expect(events.at(-1)?.data).toMatchObject({ kind: "settled", verdict: "passed" });
  expect(events.map(({ id: number }) => Number(number))).toEqual(events.map((_, at) => at + 1));
  const last = events.at(-1)?.id ?? "";
  expect((await follow("events", { "last-event-id": last })).status).toBe(204);
  const missed = await read(await follow("events", { "last-event-id": "1" }));
  expect(missed).toHaveLength(events.length - 1);
});

test("long polls and streams end when the service stops", async () => {
  const reading = read(await follow("logs/output"));
  const events = read(await follow("events"));
  const waiting = room.ask("GET", `/v1/jobs/${id}/wait?seconds=60`, { token: ada });
  const other = await room.token("lab-2", "host");
  const leasing = room.ask("POST", "/v1/leases", {
    token: other,
    json: asking("lab-2", { waitSeconds: 60 }),
  });
  const admin = await room.token("root", "admin");
  const text = async () => (await room.ask("GET", "/metrics", { token: admin })).text;
  await expect.poll(text).toContain("testbed_hosts_waiting 1\n");
  const beganMs = performance.now();
  await room.stop();
  expect(performance.now() - beganMs).toBeLessThan(4_000);
  await Promise.all([reading, events]);
  expect((await waiting).json.state).toBe("leased");
  expect((await leasing).status).toBe(204);
});

import { mkdtemp, rm, stat } from "node:fs/promises";
import { request } from "node:http";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { expect, onTestFinished, test } from "vitest";
import { eventually } from "#test/kit/eventually.ts";
import { asking, DIGEST, job } from "#test/kit/lease-messages.ts";
import { RawHttp } from "#test/kit/raw-http.ts";
import { ServiceRoom } from "#test/kit/service-room.ts";

async function openRoom(limits: Parameters<typeof ServiceRoom.open>[0] = {}) {
  const room = await ServiceRoom.open(limits);
  onTestFinished(async () => {
    expect(room.bugs).toEqual([]);
    await room[Symbol.asyncDispose]();
  });
  return room;
}

const QUICK = { headersMs: 300, requestMs: 600, idleMs: 1000 };

test("headers that come drop by drop are given up with 408", async () => {
  const room = await openRoom(QUICK);
  using raw = await RawHttp.open(room.url);
  raw.say("GET /v1/jobs HTTP/1.1", "Host: x", "X-Slow: ");
  const dripping = setInterval(() => raw.say("x"), 50);
  await eventually(() => raw.isClosed, 5_000);
  clearInterval(dripping);
  expect(raw.heard).toContain("HTTP/1.1 408");
  expect(raw.heard).toContain("urn:testbed:problem:too-slow");
});

test("a body that comes drop by drop is given up, and what came of it is kept", async () => {
  const room = await openRoom(QUICK);
  const token = await room.token("ada", "submitter");
  using raw = await RawHttp.open(room.url);
  raw.say(
    `PUT /v1/inputs/${DIGEST}?offset=0&total=1000 HTTP/1.1`,
    "Host: x",
    `Authorization: Bearer ${token}`,
    "Content-Type: application/octet-stream",
    "Content-Length: 1000",
    "",
    "",
  );
  const dripping = setInterval(() => raw.say("x"), 50);
  await eventually(() => raw.isClosed, 5_000);
  clearInterval(dripping);
  expect(raw.heard).toContain("HTTP/1.1 408");
  await eventually(async () => {
    const have = await room.ask("HEAD", `/v1/inputs/${DIGEST}`, { token });
    return Number(have.headers.get("testbed-have-bytes")) > 0;
  }, 2_000);
});

test.each([
  [
    "headers beyond the limit",
    ["GET / HTTP/1.1", "Host: x", `X: ${"x".repeat(20_000)}`, "", ""],
    "431",
  ],
  ["no HTTP at all", ["\u0016\u0003\u0001\u0002", "", ""], "400"],
  [
    "two lengths",
    ["POST /v1/jobs HTTP/1.1", "Host: x", "Content-Length: 1", "Content-Length: 2", "", "x"],
    "400",
  ],
  [
    "a length and chunks",
    [
      "POST /v1/jobs HTTP/1.1",
      "Host: x",
      "Content-Length: 1",
      "Transfer-Encoding: chunked",
      "",
      "x",
    ],
    "400",
  ],
  ["no host", ["GET /healthz HTTP/1.1", "", ""], "400"],
])("%s: a problem document, and the connection is closed", async (_, lines, status) => {
  const room = await openRoom();
  using raw = await RawHttp.open(room.url);
  raw.say(...lines);
  await eventually(() => raw.isClosed, 5_000);
  expect(raw.heard.split("\r\n")[0]).toContain(status);
});

test("a gigabyte that is announced is refused before it is read, in chunks when the limit is reached", async () => {
  const room = await openRoom();
  const token = await room.token("ada", "submitter");
  const head = (more: string) => [
    "POST /v1/jobs HTTP/1.1",
    "Host: x",
    `Authorization: Bearer ${token}`,
    "Content-Type: application/json",
    more,
    "",
    "",
  ];
  using announced = await RawHttp.open(room.url);
  announced.say(...head("Content-Length: 1073741824"));
  await eventually(() => announced.heard.includes("urn:testbed:problem:too-large"), 5_000);
  using chunked = await RawHttp.open(room.url);
  chunked.say(...head("Transfer-Encoding: chunked"));
  const chunk = `100000\r\n${" ".repeat(2 ** 20)}\r\n`;
  for (let sent = 0; sent < 16 && !chunked.isClosed; sent += 1) chunked.say(chunk);
  await eventually(() => chunked.heard.includes("HTTP/1.1 413") || chunked.isClosed, 5_000);
  using bytes = await RawHttp.open(room.url);
  bytes.say(
    `PUT /v1/inputs/${DIGEST}?offset=0&total=5 HTTP/1.1`,
    "Host: x",
    `Authorization: Bearer ${token}`,
    "Content-Type: application/octet-stream",
    "Transfer-Encoding: chunked",
    "",
    "",
  );
  await eventually(() => bytes.heard.includes("urn:testbed:problem:length-required"), 5_000);
});

test("a reader who stops reading costs little memory, and is let go when nothing moves", async () => {
  const room = await openRoom({ silenceMs: 1500 });
  const ada = await room.token("ada", "submitter");
  const lab = await room.token("lab-1", "host");
  const { json } = await room.ask("POST", "/v1/jobs", { token: ada, json: { job: job() } });
  const held = await room.ask("POST", "/v1/leases", { token: lab, json: asking("lab-1") });
  const piece = Buffer.alloc(2 ** 20, "x");
  for (let at = 0; at < 32; at += 1) {
    const path = `/v1/leases/${held.json.lease}/logs/output?offset=${at * piece.length}`;
    await room.ask("PUT", path, { token: lab, bytes: piece });
  }
  global.gc?.();
  const before = process.memoryUsage().rss;
  const readers = await Promise.all(
    Array.from({ length: 30 }, async () => {
      const raw = await RawHttp.open(room.url);
      raw.socket.pause();
      raw.say(
        `GET /v1/jobs/${json.id}/logs/output HTTP/1.1`,
        "Host: x",
        "Accept: text/event-stream",
        `Authorization: Bearer ${ada}`,
        "",
        "",
      );
      return raw;
    }),
  );
  const admin = await room.token("root", "admin");
  const open = (count: number) => async () => {
    const { text: numbers } = await room.ask("GET", "/metrics", { token: admin });
    return numbers.includes(`testbed_waits_open ${count}\n`);
  };
  await eventually(open(30), 5_000);
  const other = await room.ask("GET", `/v1/jobs/${json.id}/logs/output`, {
    token: ada,
    headers: { range: "bytes=-10" },
  });
  expect(other.text).toBe("x".repeat(10));
  await eventually(open(0), 20_000);
  expect((process.memoryUsage().rss - before) / 2 ** 20).toBeLessThan(200);
  for (const raw of readers) raw[Symbol.dispose]();
});

test("a token that asks too often is told when to ask again", async () => {
  const rate = { atOnce: 3, perSecond: 1 };
  const room = await openRoom({
    token: { admin: rate, submitter: rate, host: rate, viewer: rate },
    unauthenticated: { atOnce: 2, perSecond: 1 },
  });
  const token = await room.token("ada", "submitter");
  const answers = await Promise.all(
    Array.from({ length: 5 }, () => room.ask("GET", "/v1/jobs", { token })),
  );
  expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 200, 429, 429]);
  expect(answers.find(({ status }) => status === 429)?.headers.get("retry-after")).toBe("1");
  const strangers = await Promise.all(Array.from({ length: 4 }, () => room.ask("GET", "/v1/jobs")));
  expect(strangers.map(({ status }) => status).sort()).toEqual([401, 401, 429, 429]);
});

test("a token has so many streams and long polls at once", async () => {
  const room = await openRoom({ waitingMax: 2 });
  const token = await room.token("ada", "submitter");
  const { json } = await room.ask("POST", "/v1/jobs", { token, json: { job: job() } });
  const leaving = new AbortController();
  const follow = () =>
    room.fetch("GET", `/v1/jobs/${json.id}/events`, {
      token,
      headers: { accept: "text/event-stream" },
      signal: leaving.signal,
    });
  await follow();
  await follow();
  const third = await room.ask("GET", `/v1/jobs/${json.id}/wait?seconds=9`, { token });
  expect(third.json).toMatchObject({ status: 429 });
  leaving.abort();
  await eventually(
    async () =>
      (await room.ask("GET", `/v1/jobs/${json.id}/wait?seconds=0`, { token })).status === 200,
    5_000,
  );
});

test("the Unix socket is for owner and group, replaces a dead one, and knows the local secret", async () => {
  const room = await openRoom();
  expect((await stat(room.socket)).mode & 0o777).toBe(0o660);
  const headers = { authorization: `Bearer ${room.localSecret}` };
  const answer = await new Promise<string>((resolve, reject) => {
    request({ socketPath: room.socket, path: "/v1/tokens", headers, agent: false }, (got) =>
      resolve(text(got)),
    )
      .on("error", reject)
      .end();
  });
  expect(JSON.parse(answer)).toEqual({ tokens: [] });
});

test("a socket that somebody listens on is not taken away", async () => {
  const folder = await mkdtemp(join(tmpdir(), "testbed-test-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const path = join(folder, "s");
  const theirs = createServer().listen(path);
  onTestFinished(() => void theirs.close());
  await eventually(() => theirs.listening, 1000);
  const room = await openRoom();
  await expect(room.listen({ kind: "unix", path })).rejects.toMatchObject({ code: "EADDRINUSE" });
});

import { createHash } from "node:crypto";
import { request } from "node:http";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { asking, job, renewal, report } from "#test/kit/lease-messages.ts";
import { ServiceRoom } from "#test/kit/service-room.ts";

let room: ServiceRoom;
let ada: string;
let lab: string;

beforeEach(async () => {
  room = await ServiceRoom.open({
    queuedMax: 2,
    submits: { atOnce: 4, perSecond: 0.001 },
    inputBytes: 100,
    attemptLogs: { bytesMax: 50, countMax: 2 },
    attemptArtifacts: { bytesMax: 100, countMax: 2 },
    bodies: { all: 100_000, ofOne: 70_000 },
  });
  onTestFinished(() => room[Symbol.asyncDispose]());
  ada = await room.token("ada", "submitter");
  lab = await room.token("lab-1", "host");
  onTestFinished(() => expect(room.bugs).toEqual([]));
});

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
const slug = (name: string) => `urn:testbed:problem:${name}`;

function submit(token = ada) {
  return room.ask("POST", "/v1/jobs", { token, json: { job: job() } });
}

async function lease(): Promise<string> {
  const { json } = await room.ask("POST", "/v1/leases", { token: lab, json: asking("lab-1") });
  return `/v1/leases/${json.lease}`;
}

function put(path: string, text: string, token = lab, sent = text) {
  return room.ask("PUT", `${path}/${sha256(text)}?offset=0&total=${text.length}`, {
    token,
    bytes: sent,
  });
}

test("jobs in the queue, and submits, are limited for each submitter, whichever token it takes", async () => {
  await submit();
  await submit();
  const full = await submit(await room.token("ada", "submitter"));
  expect(full.json).toMatchObject({
    type: slug("queue-full"),
    status: 429,
    detail: expect.stringContaining("ada has 2 jobs"),
  });
  const bob = await room.token("bob", "submitter");
  expect((await submit(bob)).status).toBe(201);
  await lease();
  expect((await submit()).status).toBe(201);
  const tooMany = await submit();
  expect(tooMany.json).toMatchObject({ type: slug("too-many") });
  expect(Number(tooMany.headers.get("retry-after"))).toBeGreaterThan(0);
  expect((await submit(bob)).status).toBe(201);
});

test("inputs are limited for each submitter, those that are on their way included", async () => {
  const inputs = "/v1/inputs";
  expect((await put(inputs, "a".repeat(60), ada, "a")).status).toBe(204);
  const more = await put(inputs, "b".repeat(41), ada);
  expect(more.json).toMatchObject({
    type: slug("over-quota"),
    status: 507,
    detail: expect.stringContaining("take 60 bytes"),
  });
  expect((await put(inputs, "b".repeat(40), ada)).status).toBe(204);
  expect((await put(inputs, "b".repeat(41), await room.token("bob", "submitter"))).status).toBe(
    204,
  );
});

test("an upload of which nothing is left counts no longer", async () => {
  const text = "a".repeat(90);
  const wrong = await put("/v1/inputs", text, ada, "b".repeat(90));
  expect(wrong.json).toMatchObject({ type: slug("wrong-digest") });
  expect((await put("/v1/inputs", "c".repeat(90), ada)).status).toBe(204);
});

test("what an attempt leaves behind is limited, also over a restart, and what is there stays", async () => {
  await submit();
  const held = await lease();
  const log = (name: string, offset: number, bytes: number) =>
    room.ask("PUT", `${held}/logs/${name}?offset=${offset}`, {
      token: lab,
      bytes: "x".repeat(bytes),
    });
  expect((await log("output", 0, 30)).status).toBe(204);
  expect((await log("console", 900, 30)).json).toMatchObject({ type: slug("wrong-offset") });
  expect((await log("step-1", 0, 21)).json).toMatchObject({ type: slug("over-quota") });
  expect((await log("step-1", 0, 10)).status).toBe(204);
  expect((await log("step-2", 0, 1)).json).toMatchObject({ type: slug("over-quota") });
  expect((await put(`${held}/artifacts`, "a".repeat(60))).status).toBe(204);
  await room.stop();
  await room.start();
  expect((await log("output", 30, 11)).json).toMatchObject({ type: slug("over-quota") });
  expect((await log("output", 0, 30)).status).toBe(204);
  expect((await put(`${held}/artifacts`, "b".repeat(41))).json).toMatchObject({
    type: slug("over-quota"),
  });
  expect((await put(`${held}/artifacts`, "b".repeat(40))).status).toBe(204);
  expect((await put(`${held}/artifacts`, "c")).json).toMatchObject({ type: slug("over-quota") });
  expect((await put(`${held}/artifacts`, "a".repeat(60))).status).toBe(204);
});

test("a verdict that names what was never delivered is refused, and taken when it is there", async () => {
  await submit();
  const held = await lease();
  const told = (text: string, bytes = text.length) => ({ path: text, bytes, sha256: sha256(text) });
  const verdict = (artifacts: readonly object[], more = {}) =>
    room.ask("POST", `${held}/verdict`, {
      token: lab,
      json: { ...report({ kind: "passed" }, more), artifacts },
    });
  await put(`${held}/artifacts`, "half", lab, "ha");
  await put(`${held}/artifacts`, "whole");
  const refused = await verdict([told("whole"), told("half"), told("never")]);
  expect(refused.json).toMatchObject({ type: slug("not-delivered"), status: 422 });
  expect(refused.json.missing.sort()).toEqual([sha256("half"), sha256("never")].sort());
  expect((await verdict([told("whole", 4)])).json.missing).toEqual([sha256("whole")]);
  const screenshot = { screenshot: sha256("a picture") };
  expect((await verdict([], screenshot)).json.missing).toEqual([screenshot.screenshot]);
  const logs = { logs: [{ log: "output", bytes: 3 }] };
  expect((await verdict([], logs)).json).toMatchObject({
    type: slug("not-delivered"),
    detail: expect.stringContaining("log output has 3 bytes by the report, and 0 are here"),
  });
  const renewed = await room.ask("POST", `${held}/renew`, { token: lab, json: renewal("settled") });
  expect(renewed.status).toBe(200);
  await room.ask("PUT", `${held}/logs/output?offset=0`, { token: lab, bytes: "log" });
  expect((await verdict([told("whole")], logs)).json).toEqual({ job: "settled" });
  // A repeat hears the same, whatever it names.
  expect((await verdict([told("never")])).json).toEqual({ job: "settled" });
});

test("a body that is being read holds its room until its connection is gone; another token has its own", async () => {
  const asks = async (token: string) =>
    (await room.ask("POST", "/v1/jobs", { token, json: { job: "x".repeat(20_000) } })).status;
  const slow = request(`${room.url}/v1/jobs`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${ada}`,
      "content-type": "application/json",
      "content-length": 60_000,
    },
  });
  slow.on("error", () => undefined);
  slow.flushHeaders();
  await expect.poll(() => asks(ada)).toBe(429);
  expect(await asks(await room.token("bob", "submitter"))).toBe(422);
  slow.destroy();
  await expect.poll(() => asks(ada)).toBe(422);
});

test("a full disk gives out no leases, but for a repeat of one that was given", async () => {
  await submit();
  await submit();
  const first = asking("lab-1");
  const ask = (json: object) => room.ask("POST", "/v1/leases", { token: lab, json });
  const { json } = await ask(first);
  room.hasSpace = false;
  expect((await ask(first)).json).toEqual(json);
  expect((await ask(asking("lab-1"))).status).toBe(204);
  room.hasSpace = true;
  expect((await ask(asking("lab-1"))).status).toBe(200);
});

import { createHash } from "node:crypto";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { asking, broken, DIGEST, job, renewal, report } from "#test/kit/lease-messages.ts";
import { LEASE_SECONDS, ServiceRoom } from "#test/kit/service-room.ts";

let room: ServiceRoom;
let ada: string;
let bob: string;
let lab: string;
let admin: string;

beforeEach(async () => {
  room = await ServiceRoom.open();
  onTestFinished(() => room[Symbol.asyncDispose]());
  ada = await room.token("ada", "submitter");
  bob = await room.token("bob", "submitter");
  lab = await room.token("lab-1", "host");
  admin = await room.token("root", "admin");
  onTestFinished(() => expect(room.bugs).toEqual([]));
});

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

async function submit(changes = {}, headers: Record<string, string> = {}): Promise<string> {
  const answer = await room.ask("POST", "/v1/jobs", {
    token: ada,
    headers,
    json: { job: job(), ...changes },
  });
  expect(answer.status).toBe(201);
  return answer.json.id as string;
}

async function lease(waitSeconds = 0): Promise<string> {
  const answer = await room.ask("POST", "/v1/leases", {
    token: lab,
    json: asking("lab-1", { waitSeconds }),
  });
  expect(answer.status).toBe(200);
  return answer.json.lease as string;
}

function settle(id: string, verdict = report({ kind: "passed" })) {
  return room.ask("POST", `/v1/leases/${id}/verdict`, { token: lab, json: verdict });
}

test("a job goes its way: input, submit, lease, input to the host, log, artifact, verdict", async () => {
  const input = "the source";
  const digest = sha256(input);
  const inputs = [{ sha256: digest, bytes: input.length, kind: "file", to: "/src" }];
  const early = await room.ask("POST", "/v1/jobs", {
    token: ada,
    json: { job: job({ inputs } as never) },
  });
  expect(early.json).toMatchObject({ status: 422, missing: [digest] });

  const at = (offset: number) => `/v1/inputs/${digest}?offset=${offset}&total=${input.length}`;
  expect((await room.ask("HEAD", `/v1/inputs/${digest}`, { token: ada })).status).toBe(404);
  await room.ask("PUT", at(0), { token: ada, bytes: "the" });
  const half = await room.ask("HEAD", `/v1/inputs/${digest}`, { token: ada });
  expect(half.headers.get("testbed-have-bytes")).toBe("3");
  const done = await room.ask("PUT", at(3), { token: ada, bytes: " source" });
  expect(done.headers.get("testbed-complete")).toBe("true");
  const stolen = await room.ask("POST", "/v1/jobs", {
    token: bob,
    json: { job: job({ inputs } as never) },
  });
  expect(stolen.json).toMatchObject({ missing: [digest] });

  const id = await submit({ job: job({ inputs } as never), name: "first" });
  const held = await lease();
  const sent = await room.ask("GET", `/v1/leases/${held}/inputs/${digest}`, { token: lab });
  expect(sent.text).toBe(input);

  await room.ask("POST", `/v1/leases/${held}/renew`, { token: lab, json: renewal("running") });
  const log = (offset: number) => `/v1/leases/${held}/logs/output?offset=${offset}`;
  await room.ask("PUT", log(0), { token: lab, bytes: "hello " });
  await room.ask("PUT", log(6), { token: lab, bytes: "world" });
  const again = await room.ask("PUT", log(6), { token: lab, bytes: "world" });
  expect([again.status, again.headers.get("testbed-have-bytes")]).toEqual([204, "11"]);
  const wrong = await room.ask("PUT", log(5), { token: lab, bytes: "world!" });
  expect(wrong.json).toMatchObject({ status: 409, haveBytes: 11 });

  const made = "the binary";
  const artifact = { path: "out/a.bin", bytes: made.length, sha256: sha256(made) };
  await room.ask(
    "PUT",
    `/v1/leases/${held}/artifacts/${artifact.sha256}?offset=0&total=${made.length}`,
    { token: lab, bytes: made },
  );
  const verdict = report({ kind: "passed" }, { artifacts: [artifact] });
  expect((await settle(held, verdict)).json).toEqual({ job: "settled" });
  expect((await settle(held, verdict)).json).toEqual({ job: "settled" });

  const shown = await room.ask("GET", `/v1/jobs/${id}`, { token: ada });
  expect(shown.json).toMatchObject({ state: "settled", verdict: "passed", host: "lab-1" });
  expect((await room.ask("GET", `/v1/jobs/${id}/logs/output`, { token: ada })).text).toBe(
    "hello world",
  );
  const list = await room.ask("GET", `/v1/jobs/${id}/artifacts`, { token: ada });
  expect(list.json).toEqual({ attempt: 1, artifacts: [artifact] });
  const got = await room.ask("GET", `/v1/jobs/${id}/artifacts/${artifact.sha256}`, { token: ada });
  expect(got.text).toBe(made);
});

test.each([
  ["bytes=0-3", 206, "0123", "bytes 0-3/10"],
  ["bytes=7-", 206, "789", "bytes 7-9/10"],
  ["bytes=-2", 206, "89", "bytes 8-9/10"],
  ["bytes=-99", 206, "0123456789", "bytes 0-9/10"],
  ["bytes=8-99", 206, "89", "bytes 8-9/10"],
  ["bytes=10-", 416, undefined, "bytes */10"],
  ["bytes=5-2", 416, undefined, "bytes */10"],
  ["bytes=-0", 416, undefined, "bytes */10"],
  ["bytes=0-1,3-4", 422, undefined, null],
])("a log is read by range: %s", async (range, status, text, contentRange) => {
  const id = await submit();
  const held = await lease();
  await room.ask("PUT", `/v1/leases/${held}/logs/output?offset=0`, {
    token: lab,
    bytes: "0123456789",
  });
  const path = `/v1/jobs/${id}/logs/output`;
  const answer = await room.ask("GET", path, { token: ada, headers: { range } });
  expect(answer.status).toBe(status);
  if (text !== undefined) expect(answer.text).toBe(text);
  expect(answer.headers.get("content-range")).toBe(contentRange);
  const head = await room.ask("HEAD", path, {
    token: ada,
    headers: status === 422 ? {} : { range },
  });
  expect([head.status, head.headers.get("content-length")]).toEqual([200, "10"]);
});

test("the same idempotency key gives the same job, and another request with it is refused", async () => {
  const headers = { "idempotency-key": "k1" };
  const id = await submit({}, headers);
  const again = await room.ask("POST", "/v1/jobs", { token: ada, headers, json: { job: job() } });
  expect([again.status, again.json]).toEqual([200, { id }]);
  const other = await room.ask("POST", "/v1/jobs", {
    token: ada,
    headers,
    json: { job: job(), priority: 5 },
  });
  expect(other.json).toMatchObject({ type: "urn:testbed:problem:key-reused" });
});

test("a host that waits gets a job as soon as it is queued, and 204 when its time is up", async () => {
  const none = await room.ask("POST", "/v1/leases", { token: lab, json: asking("lab-1") });
  expect(none.status).toBe(204);
  const waiting = lease(30);
  const id = await submit();
  await waiting;
  const shown = await room.ask("GET", `/v1/jobs/${id}`, { token: ada });
  expect(shown.json.state).toBe("leased");
});

test("a host that left and asks again with the same request id gets the same lease", async () => {
  await submit();
  const request = asking("lab-1", { waitSeconds: 5 });
  const first = await room.ask("POST", "/v1/leases", { token: lab, json: request });
  const second = await room.ask("POST", "/v1/leases", { token: lab, json: request });
  expect(second.json).toEqual(first.json);
});

test("a host that hangs up while it waits is given nothing", async () => {
  const leaving = new AbortController();
  const gone = room
    .fetch("POST", "/v1/leases", {
      token: lab,
      json: asking("lab-1", { waitSeconds: 60 }),
      signal: leaving.signal,
    })
    .catch((error: Error) => error.name);
  const text = async () => (await room.ask("GET", "/metrics", { token: admin })).text;
  await expect.poll(text).toContain("testbed_hosts_waiting 1\n");
  leaving.abort();
  expect(await gone).toBe("AbortError");
  await expect.poll(text).toContain("testbed_hosts_waiting 0\n");
  const id = await submit();
  const shown = await room.ask("GET", `/v1/jobs/${id}`, { token: ada });
  expect(shown.json.state).toBe("queued");
});

test("waiting for a job ends when it is settled; a cancel reaches its host at the next renewal", async () => {
  const id = await submit();
  const held = await lease();
  const waiting = room.ask("GET", `/v1/jobs/${id}/wait?seconds=30`, { token: ada });
  const now = await room.ask("GET", `/v1/jobs/${id}/wait?seconds=0`, { token: ada });
  expect(now.json.state).toBe("leased");
  await room.ask("POST", `/v1/jobs/${id}/cancel`, { token: ada, json: { why: "not needed" } });
  const renewed = await room.ask("POST", `/v1/leases/${held}/renew`, {
    token: lab,
    json: renewal("booting"),
  });
  expect(renewed.json.cancel).toContain("not needed");
  await settle(held, report({ kind: "cancelled", why: "not needed" }));
  expect((await waiting).json).toMatchObject({ state: "settled", verdict: "cancelled" });
});

test("a lease that was lost is fenced, with the reason, and its job goes on elsewhere", async () => {
  const id = await submit({ job: job({ attempts: 2 } as never) });
  const held = await lease();
  room.clock.advance(LEASE_SECONDS + 1);
  await room.store.expire();
  const path = `/v1/leases/${held}`;
  const answers = [
    await room.ask("POST", `${path}/renew`, { token: lab, json: renewal("running") }),
    await room.ask("PUT", `${path}/logs/output?offset=0`, { token: lab, bytes: "late" }),
    await room.ask("PUT", `${path}/artifacts/${DIGEST}?offset=0&total=4`, {
      token: lab,
      bytes: "late",
    }),
    await settle(held, broken("anywhere")),
  ];
  for (const { json } of answers)
    expect(json).toMatchObject({ type: "urn:testbed:problem:fenced", detail: expect.any(String) });
  const shown = await room.ask("GET", `/v1/jobs/${id}`, { token: ada });
  expect(shown.json).toMatchObject({ attemptList: [{ state: "fenced" }] });
  expect((await room.ask("GET", `/v1/jobs/${id}/logs/output`, { token: ada })).text).toBe("");
});

test("hosts are listed, drained and given back; a drained host that waits is woken then", async () => {
  await room.ask("POST", "/v1/leases", { token: lab, json: asking("lab-1") });
  const drained = await room.ask("POST", "/v1/hosts/lab-1/drain", { token: admin, json: {} });
  expect(drained.json).toMatchObject({ state: "drained", drain: "drained by root" });
  const id = await submit();
  const waiting = lease(30);
  const text = async () => (await room.ask("GET", "/metrics", { token: admin })).text;
  await expect.poll(text).toContain("testbed_hosts_waiting 1\n");
  await room.ask("POST", "/v1/hosts/lab-1/resume", { token: admin });
  await waiting;
  const hosts = await room.ask("GET", "/v1/hosts", { token: ada });
  expect(hosts.json.hosts).toMatchObject([{ name: "lab-1", doing: [{ jobId: id }] }]);
});

test("a full disk takes nothing new, says so to probes, and lets what runs go on", async () => {
  await submit();
  const held = await lease();
  room.hasSpace = false;
  const refused = [
    await room.ask("POST", "/v1/jobs", { token: ada, json: { job: job() } }),
    await room.ask("PUT", `/v1/inputs/${DIGEST}?offset=0&total=1`, { token: ada, bytes: "x" }),
    await room.ask("GET", "/readyz"),
  ];
  expect(refused.map(({ status }) => status)).toEqual([507, 507, 507]);
  await room.ask("PUT", `/v1/leases/${held}/logs/output?offset=0`, { token: lab, bytes: "x" });
  expect((await settle(held)).status).toBe(200);
});

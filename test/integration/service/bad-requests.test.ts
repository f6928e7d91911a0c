import { afterAll, beforeAll, expect, test } from "vitest";
import { asking, DIGEST, job, OTHER_DIGEST, renewal, report } from "#test/kit/lease-messages.ts";
import { type Request, ServiceRoom } from "#test/kit/service-room.ts";

/** Who may ask; the lease is lab-1's, the jobs are ada's. */
type Who = "ada" | "bob" | "admin" | "viewer" | "lab" | "other" | "revoked" | "nobody" | "local";

let room: ServiceRoom;
const tokens = new Map<Who, string>();
let jobId: string;
let lease: string;
let stale: string;

beforeAll(async () => {
  room = await ServiceRoom.open({ logBytes: 1000, contentBytes: 100_000 });
  tokens.set("ada", await room.token("ada", "submitter"));
  tokens.set("bob", await room.token("bob", "submitter"));
  tokens.set("admin", await room.token("root", "admin"));
  tokens.set("viewer", await room.token("eve", "viewer"));
  tokens.set("lab", await room.token("lab-1", "host"));
  tokens.set("other", await room.token("lab-2", "host"));
  tokens.set("revoked", await room.token("mallory", "admin"));
  tokens.set("local", room.localSecret);
  const mallory = (await room.store.tokens()).find(({ name }) => name === "mallory");
  await room.store.revokeToken(mallory?.id ?? "");
  const submit = async () =>
    (await room.ask("POST", "/v1/jobs", { token: tokens.get("ada") ?? "", json: { job: job() } }))
      .json.id as string;
  const take = async () =>
    (
      await room.ask("POST", "/v1/leases", {
        token: tokens.get("lab") ?? "",
        json: asking("lab-1"),
      })
    ).json.lease as string;
  await submit();
  stale = await take();
  room.clock.advance(101);
  await room.store.expire();
  jobId = await submit();
  lease = await take();
});

afterAll(async () => {
  expect(room.bugs).toEqual([]);
  await room[Symbol.asyncDispose]();
});

const LONG = "x".repeat(5000);
const SUBMIT = { job: job() };
const STEP = { name: "build", run: "make" };
const INPUT = { sha256: DIGEST, bytes: 3, kind: "file", to: "/a" };
const LARGE_REPORT = report(
  { kind: "passed" },
  {
    artifacts: Array.from({ length: 10_000 }, (_, at) => ({
      path: `${"x".repeat(400)}${at}`,
      bytes: 1,
      sha256: DIGEST,
    })),
  },
);
const MUCH_EVIDENCE = report({
  kind: "broken",
  fault: {
    code: "machine-crashed",
    blame: "host",
    retry: "never",
    message: "it broke",
    evidence: {
      console: Array<string>(200).fill("x".repeat(1000)),
      more: Array<string>(200).fill("y".repeat(1000)),
      still: Array<string>(200).fill("z".repeat(1000)),
    },
  },
});
const JSON_TYPE = { "content-type": "application/json" };

/** What is asked, by whom, and the slug of the problem that it is. `JOB`, `LEASE` and `STALE` are filled in. */
const TABLE: readonly (readonly [Who, string, Request, string])[] = [
  // Who asks.
  ["nobody", "GET /v1/jobs", {}, "unauthenticated"],
  ["revoked", "GET /v1/jobs", {}, "unauthenticated"],
  ["local", "GET /v1/jobs", {}, "unauthenticated"],
  ["nobody", "GET /v1/jobs", { headers: { authorization: "Basic YTpi" } }, "unauthenticated"],
  ["nobody", "GET /v1/jobs", { headers: { authorization: `Bearer ${LONG}` } }, "unauthenticated"],
  ["nobody", "GET /metrics", {}, "unauthenticated"],
  ["viewer", "POST /v1/jobs", { json: SUBMIT }, "forbidden"],
  ["viewer", "POST /v1/jobs/JOB/cancel", { json: {} }, "forbidden"],
  ["lab", "GET /v1/jobs", {}, "forbidden"],
  ["ada", "GET /v1/tokens", {}, "forbidden"],
  ["ada", "POST /v1/tokens", { json: { name: "ada", role: "admin" } }, "forbidden"],
  ["admin", "POST /v1/leases", { json: asking("lab-1") }, "forbidden"],
  ["lab", "POST /v1/leases", { json: asking("lab-2") }, "forbidden"],
  // Whose it is.
  ["bob", "GET /v1/jobs/JOB", {}, "not-found"],
  ["bob", "GET /v1/jobs/JOB/events", {}, "not-found"],
  ["bob", "GET /v1/jobs/JOB/wait?seconds=0", {}, "not-found"],
  ["bob", "GET /v1/jobs/JOB/logs/output", {}, "not-found"],
  ["bob", "GET /v1/jobs/JOB/artifacts", {}, "not-found"],
  ["bob", `GET /v1/jobs/JOB/artifacts/${DIGEST}`, {}, "not-found"],
  ["bob", "POST /v1/jobs/JOB/cancel", { json: {} }, "not-found"],
  ["other", "POST /v1/leases/LEASE/renew", { json: renewal("running") }, "not-found"],
  ["other", "PUT /v1/leases/LEASE/logs/output?offset=0", { bytes: "x" }, "not-found"],
  ["other", "POST /v1/leases/LEASE/verdict", { json: report({ kind: "passed" }) }, "not-found"],
  ["lab", "POST /v1/leases/STALE/renew", { json: renewal("running") }, "fenced"],
  ["lab", "PUT /v1/leases/STALE/logs/output?offset=0", { bytes: "x" }, "fenced"],
  ["lab", "POST /v1/leases/STALE/verdict", { json: report({ kind: "passed" }) }, "fenced"],
  ["lab", `GET /v1/leases/LEASE/inputs/${DIGEST}`, {}, "not-found"],
  // Bodies.
  ["ada", "POST /v1/jobs", { bytes: "{", headers: JSON_TYPE }, "malformed"],
  [
    "ada",
    "POST /v1/jobs",
    { bytes: Buffer.from('{"a":"\xff"}', "latin1"), headers: JSON_TYPE },
    "malformed",
  ],
  ["ada", "POST /v1/jobs", {}, "invalid"],
  ["ada", "POST /v1/jobs", { json: null }, "invalid"],
  ["ada", "POST /v1/jobs", { json: [] }, "invalid"],
  ["ada", "POST /v1/jobs", { json: { ...SUBMIT, priority: "high" } }, "invalid"],
  ["ada", "POST /v1/jobs", { json: { ...SUBMIT, priority: 1e9 } }, "invalid"],
  ["ada", "POST /v1/jobs", { json: { ...SUBMIT, prioritty: 1 } }, "invalid"],
  ["ada", "POST /v1/jobs", { bytes: '{"__proto__":{},"job":{}}', headers: JSON_TYPE }, "invalid"],
  [
    "ada",
    "POST /v1/jobs",
    { json: { job: { ...job(), inputs: [{ from: "/etc/shadow", to: "/a" }] } } },
    "invalid",
  ],
  [
    "ada",
    "POST /v1/jobs",
    { json: { job: { ...job(), resources: { memory: "9TiB" } } } },
    "invalid",
  ],
  ["ada", "POST /v1/jobs", { json: { ...SUBMIT, labels: Array(1_000_000).fill(0) } }, "invalid"],
  [
    "ada",
    "POST /v1/jobs",
    { bytes: `${"[".repeat(1e6)}${"]".repeat(1e6)}`, headers: JSON_TYPE },
    "invalid",
  ],
  ["ada", "POST /v1/jobs", { bytes: "[".repeat(1_000_000), headers: JSON_TYPE }, "malformed"],
  ["ada", "POST /v1/jobs", { bytes: "x".repeat(9_000_000), headers: JSON_TYPE }, "too-large"],
  ["lab", "POST /v1/leases/LEASE/verdict", { json: LARGE_REPORT }, "too-large"],
  ["lab", "POST /v1/leases/LEASE/verdict", { json: MUCH_EVIDENCE }, "invalid"],
  ["ada", "POST /v1/jobs", { json: { job: { ...job(), steps: [STEP, STEP] } } }, "invalid"],
  [
    "ada",
    "POST /v1/jobs",
    { json: { job: { ...job(), steps: [{ ...STEP, silence: "25d" }] } } },
    "invalid",
  ],
  ["ada", "POST /v1/jobs", { json: { job: { ...job(), timeout: "999h" } } }, "invalid"],
  [
    "ada",
    "POST /v1/jobs",
    { json: { job: { ...job(), inputs: [{ ...INPUT, kind: "folder", mode: 420 }] } } },
    "invalid",
  ],
  [
    "ada",
    "POST /v1/jobs",
    { bytes: "a: b", headers: { "content-type": "text/yaml" } },
    "wrong-media",
  ],
  [
    "ada",
    "POST /v1/jobs",
    { bytes: "x", headers: { ...JSON_TYPE, "content-encoding": "gzip" } },
    "wrong-media",
  ],
  ["ada", "POST /v1/jobs", { json: SUBMIT, headers: { "idempotency-key": LONG } }, "invalid"],
  ["ada", "POST /v1/jobs/JOB/cancel", { json: { why: "two\nlines" } }, "invalid"],
  ["lab", "POST /v1/leases", { json: { ...asking("lab-1"), waitSeconds: 3600 } }, "invalid"],
  ["lab", "POST /v1/leases/LEASE/verdict", { json: { verdict: { kind: "great" } } }, "invalid"],
  ["admin", "POST /v1/tokens", { json: { name: "Not A Name", role: "host" } }, "invalid"],
  ["admin", "POST /v1/tokens", { json: { name: "lab@1", role: "host" } }, "invalid"],
  ["admin", "POST /v1/tokens", { json: { name: "x", role: "god" } }, "invalid"],
  ["admin", "POST /v1/hosts/lab-1/resume", { json: {} }, "malformed"],
  // Paths, queries, headers.
  ["ada", "GET /v1/nothing", {}, "not-found"],
  ["ada", "GET /v1/jobs/%2e%2e%2f%2e%2e%2fetc%2fpasswd", {}, "invalid"],
  ["ada", "GET /v1/jobs/JOB/logs/..%2f..%2fjobs.sqlite", {}, "invalid"],
  ["ada", "GET /v1/jobs/JOB/logs/output%00", {}, "invalid"],
  ["ada", "GET /v1/jobs/JOB/logs/step-0", {}, "invalid"],
  ["ada", "GET /v1/jobs/%ff%fe", {}, "malformed"],
  ["ada", "GET /v1/jobs/%zz", {}, "malformed"],
  ["ada", `GET /v1/jobs/${LONG}`, {}, "malformed"],
  ["ada", "PUT /v1/inputs/..%2fbob?offset=0&total=1", { bytes: "x" }, "invalid"],
  ["lab", "PUT /v1/leases/LEASE/logs/..%2foutput?offset=0", { bytes: "x" }, "invalid"],
  ["ada", "GET /v1/jobs?limit=0", {}, "invalid"],
  ["ada", "GET /v1/jobs?limit=1e2", {}, "invalid"],
  ["ada", "GET /v1/jobs?limit=1&limit=2", {}, "invalid"],
  ["ada", "GET /v1/jobs?name=%ff", {}, "malformed"],
  ["ada", "GET /v1/jobs?sort=name", {}, "invalid"],
  ["ada", "GET /v1/jobs/JOB?x=1", {}, "invalid"],
  ["ada", "GET /v1/jobs/JOB/logs/output?attempt=9", {}, "not-found"],
  ["ada", "GET /v1/jobs/JOB/logs/output", { headers: { range: "bytes=5-" } }, "wrong-range"],
  ["ada", "GET /v1/jobs/JOB/logs/output", { headers: { range: "lines=1-2" } }, "invalid"],
  ["ada", "GET /v1/jobs/0000000000000000", {}, "not-found"],
  ["admin", "DELETE /v1/tokens/00000000", {}, "not-found"],
  ["admin", "POST /v1/hosts/nowhere/drain", { json: {} }, "not-found"],
  ["ada", "DELETE /v1/jobs", {}, "method-not-allowed"],
  ["ada", "PATCH /v1/jobs/JOB", { json: {} }, "method-not-allowed"],
  // Bytes.
  ["ada", `PUT /v1/inputs/${DIGEST}?offset=1&total=2`, { bytes: "x" }, "wrong-offset"],
  ["ada", `PUT /v1/inputs/${DIGEST}?offset=0&total=1`, { bytes: "xx" }, "invalid"],
  ["ada", `PUT /v1/inputs/${DIGEST}?offset=0&total=-1`, { bytes: "x" }, "invalid"],
  ["ada", `PUT /v1/inputs/${DIGEST}?offset=0&total=100001`, { bytes: "x" }, "too-large"],
  [
    "ada",
    `PUT /v1/inputs/${DIGEST}?offset=0&total=4`,
    { bytes: "wrong".slice(0, 4) },
    "wrong-digest",
  ],
  ["ada", `PUT /v1/inputs/${DIGEST}?offset=0`, { bytes: "x" }, "invalid"],
  [
    "ada",
    `PUT /v1/inputs/${DIGEST}?offset=0&total=1`,
    { bytes: "x", headers: JSON_TYPE },
    "wrong-media",
  ],
  ["lab", "PUT /v1/leases/LEASE/logs/output?offset=1", { bytes: "x" }, "wrong-offset"],
  ["lab", "PUT /v1/leases/LEASE/logs/output?offset=0", { bytes: "x".repeat(1001) }, "too-large"],
  [
    "lab",
    "PUT /v1/leases/LEASE/logs/output?offset=0",
    { bytes: "x".repeat(2 ** 20 + 1) },
    "too-large",
  ],
  [
    "lab",
    `PUT /v1/leases/LEASE/artifacts/${OTHER_DIGEST}?offset=0&total=1`,
    { bytes: "x" },
    "wrong-digest",
  ],
];

test.each(TABLE.map((row) => [row[3], row[0], row[1].slice(0, 80), row] as const))(
  "%s: %s asks %s",
  async (_, __, ___, [who, what, request, slug]) => {
    const before = await room.everything();
    const [method = "", path = ""] = what.split(" ");
    const filled = path.replace("JOB", jobId).replace("LEASE", lease).replace("STALE", stale);
    const token = tokens.get(who);
    const beganMs = performance.now();
    const answer = await room.ask(method, filled, {
      ...(token === undefined ? {} : { token }),
      ...request,
    });
    expect(answer.json).toMatchObject({
      type: `urn:testbed:problem:${slug}`,
      status: answer.status,
    });
    expect(performance.now() - beganMs).toBeLessThan(3_000);
    expect(await room.everything()).toEqual(before);
  },
);

test("what is wrong is told with its place, and what was perhaps meant", async () => {
  const answer = await room.ask("POST", "/v1/jobs", {
    token: tokens.get("ada") ?? "",
    json: { ...SUBMIT, prioritty: 1, labels: ["NO"] },
  });
  const places = answer.json.violations.map(({ path }: { path: string }) => path);
  expect(places.sort()).toEqual(["body.labels.0", "body.prioritty"]);
  expect(JSON.stringify(answer.json)).toContain("did you mean 'priority'?");
});

test("a refused token is told nothing of why, and no secret is in any answer", async () => {
  const answer = await room.ask("GET", "/v1/jobs", { token: tokens.get("revoked") ?? "" });
  expect(answer.headers.get("www-authenticate")).toBe('Bearer realm="testbed"');
  expect(answer.text).not.toContain("testbed_");
});

test("a submitter's list has its own jobs only", async () => {
  const ask = (who: Who, query = "") =>
    room.ask("GET", `/v1/jobs${query}`, { token: tokens.get(who) ?? "" });
  expect((await ask("bob")).json.jobs).toEqual([]);
  expect((await ask("bob", "?owner=ada")).json.jobs).toEqual([]);
  expect((await ask("ada")).json.jobs).toHaveLength(2);
  expect((await ask("viewer", "?owner=ada&limit=1")).json).toMatchObject({
    next: expect.any(String),
  });
});

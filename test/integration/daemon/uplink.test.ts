import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { Fenced, NotTaken } from "#host/daemon/ports.ts";
import { HttpUplink } from "#host/uplink/http-uplink.ts";
import { ServiceClient } from "#protocol/service-client.ts";
import { asking, report } from "#test/kit/lease-messages.ts";
import { type Heard, problem, type Said, saidService } from "#test/kit/said-service.ts";
import { scratchFolder } from "#test/kit/scratch.ts";

const LEASE = "ab".repeat(16);
const RENEWAL = { phase: "running", spooled: { logBytes: 0, artifactBytes: 0 } } as const;
const signal = new AbortController().signal;

/** An uplink whose pauses are short, to something that says what the test wants. */
async function uplinkTo(say: (heard: Heard) => Said | Promise<Said>) {
  const service = await saidService(say);
  onTestFinished(() => service[Symbol.asyncDispose]());
  const client = new ServiceClient({ url: service.url }, "testbed_secret");
  onTestFinished(() => client[Symbol.dispose]());
  const troubles: (string | undefined)[] = [];
  const pauses = { firstMs: 1, longestMs: 4 };
  const uplink = new HttpUplink(client, (trouble) => troubles.push(trouble), pauses);
  return { uplink, troubles, heard: service.heard };
}

/** Says these one after the other, and the last one again and again. */
const inTurn = (...all: Said[]) => {
  let at = -1;
  return () => {
    at = Math.min(at + 1, all.length - 1);
    return all[at];
  };
};

const HTML = { status: 404, body: "<html>nginx</html>" };
const NOT_OURS: Readonly<Record<string, Said>> = {
  "a proxy's 404": HTML,
  "a proxy's 400": { ...HTML, status: 400 },
  "a proxy's 500": { ...HTML, status: 500 },
  "another server's JSON": { status: 409, body: { error: "conflict" } },
  "a success that is no JSON": { ...HTML, status: 200 },
  "a service that went wrong": problem(500, "bug"),
  "a service that is busy": problem(429, "too-many"),
  "a service without room": problem(507, "full"),
  "a token that is revoked": problem(401, "unauthenticated"),
};

test.for(Object.keys(NOT_OURS))("%s ends no attempt: it is asked again", async (name) => {
  const { uplink, troubles, heard } = await uplinkTo(
    inTurn(NOT_OURS[name], NOT_OURS[name], { status: 200, body: { secondsLeft: 7 } }),
  );
  expect(await uplink.renew(LEASE, RENEWAL, signal)).toEqual({ secondsLeft: 7 });
  expect(heard).toHaveLength(3);
  expect(troubles).toEqual([expect.stringMatching(/./), undefined]);
});

test.for([
  ["fenced", problem(409, "fenced")],
  ["not known", problem(404, "not-found")],
] as const)("a lease that is %s is lost", async ([, said]) => {
  const { uplink } = await uplinkTo(() => said);
  await expect(uplink.renew(LEASE, RENEWAL, signal)).rejects.toBeInstanceOf(Fenced);
});

test("a service that does not know why a host takes nothing is asked without that, from then on", async () => {
  const { uplink, heard, troubles } = await uplinkTo(({ body }) =>
    body.includes('"hold"') ? problem(422, "invalid") : { status: 204 },
  );
  const request = asking("lab-1", { hold: "it is drained" });
  expect(await uplink.take(request, signal)).toBeUndefined();
  expect(await uplink.take(request, signal)).toBeUndefined();
  expect(heard.map(({ body }) => body.includes('"hold"'))).toEqual([true, false, false]);
  expect(troubles).toEqual([]);
});

test("what a service always goes wrong on is given up in the end", async () => {
  const { uplink, heard } = await uplinkTo(() => problem(500, "bug"));
  await expect(uplink.report(LEASE, report({ kind: "passed" }), signal)).rejects.toBeInstanceOf(
    NotTaken,
  );
  expect(heard.length).toBeGreaterThan(5);
});

test("a pause that is asked for is made, and is not forgotten when it is longer than a timer holds", async () => {
  const busy = (after: string) => ({ status: 429, headers: { "retry-after": after } });
  const one = await uplinkTo(inTurn(busy("1"), { status: 200, body: { secondsLeft: 7 } }));
  await one.uplink.renew(LEASE, RENEWAL, signal);
  const [first, second] = one.heard;
  expect((second?.atMs ?? 0) - (first?.atMs ?? 0)).toBeGreaterThan(900);

  const two = await uplinkTo(() => busy("9999999999"));
  await expect(two.uplink.renew(LEASE, RENEWAL, AbortSignal.timeout(300))).rejects.toMatchObject({
    name: "TimeoutError",
  });
  expect(two.heard).toHaveLength(1);
});

test("a renewal that the service holds for a minute is waited for, and others do not wait for it", async () => {
  const { uplink, heard, troubles } = await uplinkTo(async ({ body }) => {
    return JSON.parse(body).waitSeconds === 60
      ? undefined
      : { status: 200, body: { secondsLeft: 7 } };
  });
  // That the answer may take longer than others is known to the client; nobody has to wait for it here.
  const asked: unknown[] = [];
  const json = async (_name: string, question: unknown) => asked.push(question);
  const stub = new HttpUplink({ json } as never, () => undefined);
  await stub.renew(LEASE, { ...RENEWAL, waitSeconds: 60 }, signal);
  expect(asked).toMatchObject([{ waitMs: 60_000 }]);

  const ending = new AbortController();
  const held = Array.from({ length: 64 }, () =>
    uplink.renew(LEASE, { ...RENEWAL, waitSeconds: 60 }, ending.signal),
  );
  const others = Promise.allSettled(held);
  expect(await uplink.renew(LEASE, RENEWAL, AbortSignal.timeout(5000))).toEqual({ secondsLeft: 7 });
  expect(troubles).toEqual([]);
  ending.abort(new Error("enough"));
  await others;
  expect(heard).toHaveLength(65);
});

test.for([
  ["no object", null],
  ["an id that leads elsewhere", { jobId: "../../../etc" }],
  ["no length", { lengthSeconds: undefined }],
  ["an endless length", { lengthSeconds: 1e12 }],
  ["no steps", { job: { image: "micro" } }],
] as const)("a lease with %s is none", async ([, changes]) => {
  const good = {
    lease: LEASE,
    jobId: "0123456789abcdef",
    attempt: 1,
    job: { image: "micro", steps: [{ name: "build", run: "make" }], more: "of a newer service" },
    lengthSeconds: 300,
    timeoutSeconds: 3600,
  };
  const { uplink, troubles } = await uplinkTo(
    inTurn(
      { status: 200, body: changes === null ? "null" : { ...good, ...changes } },
      { status: 200, body: good },
    ),
  );
  expect(await uplink.take(asking("lab-1"), signal)).toEqual(good);
  expect(troubles).toEqual([expect.stringMatching(/is no job service/), undefined]);
});

async function file(content: string) {
  const folder = await scratchFolder();
  onTestFinished(() => folder[Symbol.asyncDispose]());
  const path = join(folder.path, "file");
  await writeFile(path, content);
  const sha256 = createHash("sha256").update(content).digest("hex");
  return { path, sha256, bytes: content.length };
}

const have = (bytes: number | string, isComplete = false): Said => ({
  status: 204,
  headers: { "testbed-have-bytes": String(bytes), "testbed-complete": String(isComplete) },
});

test.for([
  ["that it has nothing", have(0)],
  ["nothing of it", have("")],
  ["that the offset is wrong and the same", problem(409, "wrong-offset", { haveBytes: 0 })],
] as const)(
  "a service that says %s after a piece of a log is not asked without a pause",
  async ([, said]) => {
    const { path } = await file("some text");
    const { uplink, heard, troubles } = await uplinkTo(() => said);
    const sending = uplink.sendLog(LEASE, { log: "output", path }, AbortSignal.timeout(300));
    await expect(sending).rejects.toMatchObject({ name: "TimeoutError" });
    // 300 ms with pauses of 2 ms at least; without them it would be thousands.
    expect(heard.length).toBeLessThan(160);
    expect(troubles).toHaveLength(1);
  },
);

test.for([
  ["gone", { path: "/nowhere/file" }],
  ["shorter than it was", { bytes: 100 }],
] as const)(
  "an artifact that is %s on the host is not sent, and nobody waits for it",
  async ([, changes]) => {
    const { uplink, troubles } = await uplinkTo(() => have(0));
    const artifact = { ...(await file("content")), ...changes };
    await expect(uplink.sendArtifact(LEASE, artifact, signal)).rejects.toBeInstanceOf(NotTaken);
    expect(troubles).toEqual([]);
  },
);

test("an artifact of which more is there than it has is not sent for ever", async () => {
  const { uplink } = await uplinkTo(() => have(1000));
  await expect(uplink.sendArtifact(LEASE, await file("content"), signal)).rejects.toBeInstanceOf(
    NotTaken,
  );
});

test("an attempt that has used up its room for logs does not wait for more", async () => {
  const { path } = await file("some text");
  const { uplink } = await uplinkTo(() => problem(507, "over-quota"));
  const sending = uplink.sendLog(LEASE, { log: "output", path }, signal);
  await expect(sending).rejects.toBeInstanceOf(NotTaken);
});

test("an artifact that has another digest than it had is sent once", async () => {
  const content = "x".repeat(100_000);
  const { uplink, heard } = await uplinkTo(({ method }) =>
    method === "HEAD" ? have(50_000) : problem(422, "wrong-digest", { haveBytes: 0 }),
  );
  const sending = uplink.sendArtifact(LEASE, await file(content), signal);
  await expect(sending).rejects.toBeInstanceOf(NotTaken);
  expect(heard.map(({ method }) => method)).toEqual(["HEAD", "PUT"]);
});

test("an input that does not end is not taken, and is whole when it comes as it should", async () => {
  const content = "the content";
  const { path } = await file("");
  const { uplink, troubles } = await uplinkTo(
    inTurn({ status: 200, body: content.repeat(10_000) }, { status: 200, body: content }),
  );
  const input = {
    sha256: createHash("sha256").update(content).digest("hex"),
    bytes: content.length,
    kind: "file",
    to: "/root/in",
  } as const;
  await uplink.fetchInput(LEASE, input, path, signal);
  expect(await readFile(path, "utf8")).toBe(content);
  expect(troubles).toEqual([expect.stringMatching(/more came/), undefined]);
});

import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { NoAnswer } from "#lib/http-client.ts";
import { Refused } from "#protocol/refused.ts";
import { ServiceClient } from "#protocol/service-client.ts";
import { asking, job } from "#test/kit/lease-messages.ts";
import { scratchFolder } from "#test/kit/scratch.ts";
import { ServiceRoom } from "#test/kit/service-room.ts";

const signal = AbortSignal.timeout(30_000);

async function clientOf(room: ServiceRoom, name: string, role: "submitter" | "host") {
  return new ServiceClient({ url: new URL(room.url) }, await room.token(name, role));
}

async function refusal(work: Promise<unknown>): Promise<Refused> {
  const error = await work.catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(Refused);
  return error as Refused;
}

test("asks by the table of routes: JSON, bytes in pieces, ranges, and nothing to say", async () => {
  await using room = await ServiceRoom.open();
  using ada = await clientOf(room, "ada", "submitter");
  using host = await clientOf(room, "lab-1", "host");
  const content = Buffer.alloc(300_000, "input");
  const sha256 = createHash("sha256").update(content).digest("hex");
  const upload = (offset: number, bytes: number) =>
    ada.have("writeInput", {
      path: { sha256 },
      query: { offset, total: content.length },
      bytes: { bytes, open: () => Readable.from([content.subarray(offset, offset + bytes)]) },
      signal,
    });
  expect(await upload(0, 100_000)).toEqual({ haveBytes: 100_000, isComplete: false });
  expect(await refusal(upload(0, 100_000))).toMatchObject({
    slug: "wrong-offset",
    haveBytes: 100_000,
  });
  expect(await upload(100_000, 200_000)).toEqual({ haveBytes: 300_000, isComplete: true });

  const nothing = await host.json("takeLease", { json: asking("lab-1"), signal });
  expect(nothing).toBeUndefined();
  const input = { sha256, bytes: content.length, kind: "file", to: "/in" } as const;
  const wire = job({ inputs: [input] });
  const made = await ada.json("submitJob", {
    json: { job: wire },
    headers: { "idempotency-key": "once" },
    signal,
  });
  const grant = await host.json("takeLease", { json: asking("lab-1"), waitMs: 1000, signal });
  expect(grant?.jobId).toBe(made?.id);
  const got = await host.bytes("readInput", {
    path: { lease: grant?.lease ?? "", sha256 },
    headers: { range: "bytes=299990-" },
    signal,
  });
  expect(got.status).toBe(206);
  expect(await buffer(got.body)).toEqual(content.subarray(299_990));
});

test("a body that ends before its length is an error at once, not a request that hangs", async () => {
  await using room = await ServiceRoom.open();
  using ada = await clientOf(room, "ada", "submitter");
  const bytes = { bytes: 1000, open: () => Readable.from([Buffer.alloc(10)]) };
  const question = { path: { sha256: "a1".repeat(32) }, query: { offset: 0, total: 1000 } };
  await expect(ada.have("writeInput", { ...question, bytes, signal })).rejects.toThrow(NoAnswer);
});

test("what the service refuses is said in words, with HEAD by its status", async () => {
  await using room = await ServiceRoom.open();
  using ada = await clientOf(room, "ada", "submitter");
  const missing = { sha256: "a1".repeat(32), bytes: 5, kind: "file", to: "/in" } as const;
  const json = { job: job({ inputs: [missing] }) };
  expect(await refusal(ada.json("submitJob", { json, signal }))).toMatchObject({
    status: 422,
    slug: "inputs-missing",
    missing: [missing.sha256],
    isPassing: false,
  });
  const path = { sha256: missing.sha256 };
  expect((await refusal(ada.have("haveInput", { path, signal }))).slug).toBe("not-found");
  const bad = { job: { ...job(), steps: [] } };
  expect((await refusal(ada.json("submitJob", { json: bad, signal }))).message).toMatch(
    /does not fit its schema.*steps: is empty/,
  );
  using nobody = new ServiceClient({ url: new URL(room.url) }, "testbed_wrong");
  expect((await refusal(nobody.json("listJobs", { signal }))).slug).toBe("unauthenticated");
});

test("over a Unix socket, and when there is nobody", async () => {
  await using room = await ServiceRoom.open();
  const token = await room.token("ada", "submitter");
  using local = new ServiceClient(
    { url: new URL("http://localhost"), socketPath: room.socket },
    token,
  );
  expect(await local.json("listJobs", { query: { limit: 5 }, signal })).toEqual({ jobs: [] });
  await room.stop();
  const gone = await local.json("listJobs", { signal }).catch((error: unknown) => error);
  expect(gone).toBeInstanceOf(NoAnswer);
  expect(String(gone)).toMatch(/service\.sock .*is the server running\?/);
  await room.start();
  expect(await local.json("listJobs", { signal })).toEqual({ jobs: [] });
});

test.for([
  ["no JSON at all", "<html>", /no job service/],
  ["half an answer", undefined, /did not arrive whole/],
] as const)("another server's answer: %s", async ([, body, says]) => {
  const server = createServer((_, answer) => {
    answer.writeHead(200, { "content-length": body === undefined ? 100 : body.length });
    if (body === undefined) answer.write("{", () => answer.destroy());
    else answer.end(body);
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  try {
    const { port } = server.address() as AddressInfo;
    using client = new ServiceClient({ url: new URL(`http://127.0.0.1:${port}`) }, "t");
    await expect(client.json("listJobs", { signal })).rejects.toThrow(says);
    const cancel = new AbortController();
    cancel.abort(new Error("enough"));
    await expect(client.json("listJobs", { signal: cancel.signal })).rejects.toThrow("enough");
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

test("over TLS it trusts whom it was told to, and says whom it does not", async () => {
  await using folder = await scratchFolder();
  await using room = await ServiceRoom.open();
  const [cert, key] = [join(folder.path, "cert.pem"), join(folder.path, "key.pem")];
  const made = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1".split(
    " ",
  );
  const name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
  await promisify(execFile)("openssl", [...made, ...name, "-keyout", key, "-out", cert]);
  const certificate = { cert: await readFile(cert, "utf8"), key: await readFile(key, "utf8") };
  const port = await freePort();
  await room.listen({ kind: "tcp", host: "127.0.0.1", port }, certificate);
  const token = await room.token("ada", "submitter");
  const list = async (host: string, ca?: string) => {
    const url = new URL(`https://${host}:${port}`);
    using client = new ServiceClient({ url, ...(ca === undefined ? {} : { ca }) }, token);
    return await client.json("listJobs", { signal });
  };
  expect(await list("localhost", certificate.cert)).toEqual({ jobs: [] });
  await expect(list("localhost")).rejects.toThrow(/certificate of its own making/);
  await expect(list("127.0.0.1", certificate.cert)).rejects.toThrow(/certificate for another name/);
});

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address() as AddressInfo;
  await new Promise((done) => server.close(done));
  return port;
}

test("an answer that trickles is given up, however often a byte comes", async () => {
  const server = createServer((_request, reply) => {
    reply.writeHead(200, { "content-type": "application/json" });
    const trickle = setInterval(() => reply.write(" "), 20);
    reply.on("close", () => clearInterval(trickle));
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address() as AddressInfo;
  using slow = new ServiceClient({ url: new URL(`http://127.0.0.1:${port}`) }, "secret", 300);
  const asking = slow.json("listJobs", { signal });
  await expect(asking).rejects.toThrow(/did not arrive whole: it took longer than 0\.3 s/);
  await new Promise((done) => server.close(done));
});

import { afterEach, beforeEach, expect, test } from "vitest";
import { connectLibvirt, type LibvirtOptions } from "#libvirt/client.ts";
import { LibvirtConnectionError } from "#libvirt/error.ts";
import { KEEPALIVE } from "#libvirt/protocol.ts";
import { eventually } from "#test/kit/eventually.ts";
import { type HeldLibvirt, holdLibvirt } from "#test/kit/held-libvirt.ts";

const QUICK: LibvirtOptions = { keepalive: { intervalMs: 50, missedMax: 2 }, backoffMsMax: 100 };

let at: HeldLibvirt;
let server: HeldLibvirt["server"];
let libvirt: HeldLibvirt["libvirt"];
let held: HeldLibvirt["held"];
beforeEach(async () => {
  at = await holdLibvirt(QUICK);
  ({ server, libvirt, held } = at);
});
afterEach(() => at[Symbol.asyncDispose]());

test("connecting says which sockets were tried", async () => {
  const error = await connectLibvirt("test:///default?socket=/nowhere/sock").catch((e) => e);
  expect(error).toBeInstanceOf(LibvirtConnectionError);
  expect(error.trouble).toBe("unreachable");
  expect(error.message).toContain("ENOENT /nowhere/sock");
});

test("connecting opens the driver by its plain name and asks for the daemon's pings", () => {
  expect(server.received.map(({ name }) => name)).toEqual([
    "authList",
    "connectOpen",
    "connectSupportsFeature",
  ]);
});

test("connecting to a daemon that says nothing ends at its deadline, or at its signal", async () => {
  server.on("authList", () => undefined);
  await expect(connectLibvirt(server.uri, { openTimeoutMs: 50 })).rejects.toMatchObject({
    trouble: "unreachable",
    message: expect.stringContaining("did not answer authList within 50 ms"),
  });
  const reason = new Error("no time");
  const abort = new AbortController();
  const attempt = connectLibvirt(server.uri, { signal: abort.signal });
  await eventually(() => server.received.filter((c) => c.name === "authList").length === 3, 2_000);
  abort.abort(reason);
  await expect(attempt).rejects.toBe(reason);
  await eventually(() => server.peers.slice(1).every(({ socket }) => socket.closed), 2_000);
});

test("polkit is done when asked for, SASL is refused, none is preferred", async () => {
  server.on("authPolkit", (call) => call.reply(1));
  server.on("authList", (call) => call.reply([2, 0]));
  await using _plain = await connectLibvirt(server.uri);
  expect(server.received.map(({ name }) => name)).not.toContain("authPolkit");
  server.on("authList", (call) => call.reply([2]));
  await using _polkit = await connectLibvirt(server.uri);
  expect(server.received.map(({ name }) => name)).toContain("authPolkit");
  server.on("authList", (call) => call.reply([1]));
  await expect(connectLibvirt(server.uri)).rejects.toThrow("SASL");
});

test("a daemon that refuses to open says why", async () => {
  server.on("connectOpen", (call) => call.refuse(38, "no driver of that name"));
  await expect(connectLibvirt(server.uri)).rejects.toMatchObject({
    trouble: "unreachable",
    message: expect.stringContaining("no driver of that name"),
    cause: { codeName: "VIR_ERR_SYSTEM_ERROR" },
  });
});

test("silence is broken by pings, and answers to them keep the connection", async () => {
  await eventually(() => server.lastPeer.keepalive.length >= 5, 5_000);
  expect(new Set(server.lastPeer.keepalive)).toEqual(new Set([KEEPALIVE.ping]));
  expect(server.peers.length).toBe(1);
});

test("the daemon's pings are answered", async () => {
  server.lastPeer.ping();
  await eventually(() => server.lastPeer.keepalive.includes(KEEPALIVE.pong), 2_000);
});

test("a daemon that stops answering loses its calls, and a new connection is made", async () => {
  server.lastPeer.answersPings = false;
  const startMs = performance.now();
  await expect(libvirt.host.hostname()).rejects.toMatchObject({ trouble: "lost", maybeDone: true });
  expect(performance.now() - startMs).toBeLessThan(2_000);
  expect(await libvirt.host.capabilities()).toBe("<capabilities/>");
  expect(server.peers.length).toBe(2);
});

test("silence proves nothing while the daemon works on all the calls that it takes", async () => {
  server.lastPeer.answersPings = false;
  const calls = Array.from({ length: 5 }, () => libvirt.host.hostname());
  await eventually(() => held.length === 5, 2_000);
  const pings = server.lastPeer.keepalive.length;
  const patience = libvirt.host.capabilities({ timeoutMs: 500 });
  await expect(patience).rejects.toThrow("could not be sent");
  expect(server.lastPeer.keepalive.length).toBe(pings);
  server.lastPeer.answersPings = true;
  for (const call of held) call.reply("name");
  expect(await Promise.all(calls)).toEqual(Array(5).fill("name"));
  expect(server.peers.length).toBe(1);
});

test("when the daemon dies, sent calls reject and queued ones go to its successor", async () => {
  const sent = Array.from({ length: 5 }, () => libvirt.host.hostname().catch((e: unknown) => e));
  await eventually(() => held.length === 5, 2_000);
  const queued = libvirt.host.capabilities();
  await server.shut();
  for (const error of await Promise.all(sent))
    expect(error).toMatchObject({ trouble: "lost", maybeDone: true });
  await server.open();
  expect(await queued).toBe("<capabilities/>");
});

test("a call without a connection waits for one until its deadline", async () => {
  await server.shut();
  await eventually(
    async () =>
      await libvirt.host.capabilities({ timeoutMs: 30 }).then(
        () => false,
        (error) => error instanceof LibvirtConnectionError && error.message.includes("ENOENT"),
      ),
    2_000,
  );
  const abort = new AbortController();
  const aborted = libvirt.host.capabilities({ signal: abort.signal });
  abort.abort(new Error("enough"));
  await expect(aborted).rejects.toThrow("enough");
  const patient = libvirt.host.capabilities({ timeoutMs: 5_000 });
  await server.open();
  expect(await patient).toBe("<capabilities/>");
});

test("closing rejects what is under way, ends iterations, and is safe twice", async () => {
  const kinds: string[] = [];
  const reading = (async () => {
    for await (const { kind } of libvirt.events()) kinds.push(kind);
  })();
  const call = libvirt.host.hostname().catch((error: unknown) => error);
  await eventually(() => held.length === 1, 2_000);
  await Promise.all([libvirt[Symbol.asyncDispose](), libvirt[Symbol.asyncDispose]()]);
  expect(await call).toMatchObject({ trouble: "closed", maybeDone: true });
  await reading;
  expect(kinds).toEqual(["connected"]);
  await expect(libvirt.host.hostname()).rejects.toMatchObject({ trouble: "closed" });
});

test("an idle connection says farewell", async () => {
  await libvirt[Symbol.asyncDispose]();
  expect(server.received.at(-1)?.name).toBe("connectClose");
});

test("closing while the daemon is away ends the attempts to reconnect", async () => {
  await server.shut();
  const call = libvirt.host.capabilities().catch((error: unknown) => error);
  await libvirt[Symbol.asyncDispose]();
  expect(await call).toMatchObject({ trouble: "closed" });
  await server.open();
});

import { afterEach, beforeEach, expect, test } from "vitest";
import { connectLibvirt } from "#libvirt/client.ts";
import { LibvirtConnectionError, LibvirtTimeoutError } from "#libvirt/error.ts";
import { FRAME_STATUS, FRAME_TYPE } from "#libvirt/frame.ts";
import { encodeError, type ReceivedCall } from "#test/fakes/libvirt-server.ts";
import { eventually } from "#test/kit/eventually.ts";
import { type HeldLibvirt, holdLibvirt } from "#test/kit/held-libvirt.ts";

const DOMAIN = { name: "a", uuid: "00000000-0000-0000-0000-000000000001", id: 1 };

let at: HeldLibvirt;
let server: HeldLibvirt["server"];
let libvirt: HeldLibvirt["libvirt"];
let held: HeldLibvirt["held"];
beforeEach(async () => {
  at = await holdLibvirt({ callTimeoutMs: 10_000 });
  ({ server, libvirt, held } = at);
});
afterEach(() => at[Symbol.asyncDispose]());

const reasonOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => expect.fail("resolved"),
    (reason: unknown) => reason,
  );

function takeHeld(): ReceivedCall<"connectGetHostname"> {
  return held.shift() ?? expect.fail("no call is held");
}

test("five calls go out at once, the sixth when one of them is answered", async () => {
  const calls = Array.from({ length: 6 }, () => libvirt.host.hostname());
  await eventually(() => held.length === 5, 2_000);
  const capabilities = libvirt.host.capabilities();
  takeHeld().reply("first");
  expect(await calls[0]).toBe("first");
  await eventually(() => held.length === 5, 2_000);
  expect(server.received.filter(({ name }) => name === "connectGetCapabilities")).toEqual([]);
  for (const call of held) call.reply("later");
  expect(await Promise.all(calls)).toEqual(["first", ...Array(5).fill("later")]);
  expect(await capabilities).toBe("<capabilities/>");
});

test("replies in another order reach their own calls", async () => {
  const calls = Array.from({ length: 5 }, () => libvirt.host.hostname());
  await eventually(() => held.length === 5, 2_000);
  const order = [3, 0, 4, 1, 2];
  for (const place of order) held[place]?.reply(`name ${place}`);
  expect(await Promise.all(calls)).toEqual([0, 1, 2, 3, 4].map((place) => `name ${place}`));
});

test("a late reply is swallowed, and frees the slot only then", async () => {
  const late = await reasonOf(libvirt.host.hostname({ timeoutMs: 50 }));
  expect(late).toBeInstanceOf(LibvirtTimeoutError);
  expect(late).toMatchObject({ timeoutMs: 50, maybeDone: true });
  const others = Array.from({ length: 5 }, () => libvirt.host.hostname());
  await eventually(() => held.length === 5, 2_000);
  const capabilities = libvirt.host.capabilities();
  takeHeld().reply("too late");
  await eventually(() => held.length === 5, 2_000);
  for (const call of held) call.reply("in time");
  expect(await Promise.all(others)).toEqual(Array(5).fill("in time"));
  expect(await capabilities).toBe("<capabilities/>");
  expect(server.peers.length).toBe(1);
});

test("a call whose deadline passes in the queue is never sent", async () => {
  const calls = Array.from({ length: 5 }, () => libvirt.host.hostname());
  const queued = await reasonOf(libvirt.host.capabilities({ timeoutMs: 50 }));
  expect(queued).toBeInstanceOf(LibvirtTimeoutError);
  expect(queued).toMatchObject({ maybeDone: false });
  for (const call of held) call.reply("name");
  await Promise.all(calls);
  expect(await libvirt.host.capabilities()).toBe("<capabilities/>");
  expect(server.received.filter(({ name }) => name === "connectGetCapabilities").length).toBe(1);
});

test("an aborted call rejects with the signal's reason, before and after it was sent", async () => {
  const reason = new Error("not wanted any more");
  expect(await reasonOf(libvirt.host.hostname({ signal: AbortSignal.abort(reason) }))).toBe(reason);
  expect(held).toEqual([]);
  const abort = new AbortController();
  const call = libvirt.host.hostname({ signal: abort.signal });
  await eventually(() => held.length === 1, 2_000);
  abort.abort(reason);
  expect(await reasonOf(call)).toBe(reason);
  takeHeld().refuse(1, "too late");
  expect(await libvirt.host.capabilities()).toBe("<capabilities/>");
});

test("a stream that overtakes the reply, or fails, or is refused, ends its own call only", async () => {
  const packet = (call: ReceivedCall<"domainScreenshot">, status: number, payload: Buffer) =>
    call.peer.send({
      procedure: 211,
      serial: call.serial,
      type: FRAME_TYPE.stream,
      status,
      payload,
    });
  const { ok, error, continue: data } = FRAME_STATUS;
  const asked = Promise.withResolvers<ReceivedCall<"domainScreenshot">>();
  server.once("domainScreenshot", (call) => asked.resolve(call));
  const taking = libvirt.domains.screenshot(DOMAIN);
  const call = await asked.promise;
  packet(call, data, Buffer.from("pic"));
  packet(call, data, Buffer.from("ture"));
  packet(call, data, Buffer.alloc(0));
  await eventually(() => call.peer.streamStatus.length === 1, 2_000);
  packet(call, ok, Buffer.alloc(0));
  call.reply(undefined);
  const shot = await taking;
  expect({ ...shot, bytes: shot.bytes.toString() }).toEqual({
    mime: "application/octet-stream",
    bytes: "picture",
  });
  server.once("domainScreenshot", (call) => {
    call.reply("image/png");
    packet(call, data, Buffer.from("pic"));
    packet(call, error, encodeError(38, "the picture broke"));
  });
  await expect(libvirt.domains.screenshot(DOMAIN)).rejects.toThrow("the picture broke");
  server.once("domainScreenshot", (call) => call.refuse(55, "no screen"));
  await expect(libvirt.domains.screenshot(DOMAIN)).rejects.toThrow("no screen");
  expect(await libvirt.host.capabilities()).toBe("<capabilities/>");
  expect([server.peers.length, server.lastPeer.streamStatus]).toEqual([1, [ok]]);
});

test("an aborted screenshot is given up as soon as its stream begins", async () => {
  const abort = new AbortController();
  server.on("domainScreenshot", (call) => {
    abort.abort(new Error("enough"));
    setImmediate(() => call.reply("image/png"));
  });
  const shot = libvirt.domains.screenshot(DOMAIN, { signal: abort.signal });
  expect(await reasonOf(shot)).toMatchObject({ message: "enough" });
  await eventually(() => server.lastPeer.streamStatus.length === 1, 2_000);
  expect(server.lastPeer.streamStatus).toEqual([1]);
});

test("when nobody waits for any of the calls that libvirt is at, the connection is replaced", async () => {
  await using impatient = await connectLibvirt(server.uri, {
    keepalive: { intervalMs: 50, missedMax: 2 },
  });
  const calls = Array.from({ length: 5 }, () => impatient.host.hostname({ timeoutMs: 20 }));
  for (const call of calls) expect(await reasonOf(call)).toBeInstanceOf(LibvirtTimeoutError);
  expect(await impatient.host.capabilities()).toBe("<capabilities/>");
  expect(server.peers.length).toBe(3);
});

test("a QMP command goes out and comes back as JSON, and what is no JSON is refused", async () => {
  server.on("qemuDomainMonitorCommand", ({ args, reply }) =>
    reply(args.command === '{"execute":"stop"}' ? '{"return":{}}' : "<xml/>"),
  );
  expect(await libvirt.domains.monitorCommand(DOMAIN, { execute: "stop" })).toEqual({ return: {} });
  await expect(libvirt.domains.monitorCommand(DOMAIN, {})).rejects.toMatchObject({
    trouble: "protocol",
  });
});

test("leases and domain capabilities, which the test driver lacks, come through", async () => {
  const network = { name: "n", uuid: DOMAIN.uuid };
  const lease = { interface: "b0", mac: "52:54:00:00:00:01", address: "fd00::2", prefix: 64 };
  const rest = { hostname: "guest", clientId: "00:01" };
  server.on("networkGetDhcpLeases", ({ args, reply }) =>
    reply({
      leases:
        args.mac === lease.mac ? [{ ...lease, ...rest, expires: 99n, type: 1, iaid: "1" }] : [],
      count: 1,
    }),
  );
  expect(await libvirt.networks.leases(network, { mac: lease.mac })).toEqual([
    { ...lease, ...rest, expires: 99, family: "ipv6" },
  ]);
  expect(await libvirt.networks.leases(network)).toEqual([]);
  server.on("connectGetDomainCapabilities", ({ args, reply }) => reply(JSON.stringify(args)));
  expect(
    JSON.parse(await libvirt.host.domainCapabilities({ type: "qemu", machine: "q35" })),
  ).toEqual({ type: "qemu", machine: "q35", flags: 0 });
});

test("a deadline of a month is a deadline, not none", async () => {
  const month = libvirt.host.hostname({ timeoutMs: 30 * 24 * 3_600_000 });
  await eventually(() => held.length === 1, 2_000);
  expect(await libvirt.host.capabilities()).toBe("<capabilities/>");
  takeHeld().reply("patience");
  expect(await month).toBe("patience");
});

test("a name that the protocol cannot carry is refused before it is sent", async () => {
  await expect(libvirt.domains.lookupByName("name\0other")).rejects.toThrow("NUL");
  expect(server.received.map(({ name }) => name)).not.toContain("domainLookupByName");
});

test("more than a thousand waiting calls are refused", async () => {
  const calls = Array.from({ length: 5 + 1_024 }, () => reasonOf(libvirt.host.hostname()));
  expect(await reasonOf(libvirt.host.hostname())).toMatchObject({ trouble: "overloaded" });
  await libvirt[Symbol.asyncDispose]();
  for (const reason of await Promise.all(calls))
    expect(reason).toBeInstanceOf(LibvirtConnectionError);
});

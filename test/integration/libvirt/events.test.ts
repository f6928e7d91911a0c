import { afterEach, beforeEach, expect, test } from "vitest";
import { connectLibvirt, type Libvirt } from "#libvirt/client.ts";
import { encode } from "#libvirt/codec.ts";
import type { LibvirtEvent } from "#libvirt/event.ts";
import { EVENTS_MAX } from "#libvirt/event-queue.ts";
import { FRAME_TYPE } from "#libvirt/frame.ts";
import { DOMAIN_EVENT } from "#libvirt/protocol.ts";
import { FakeLibvirtServer, type Peer } from "#test/fakes/libvirt-server.ts";
import { eventually } from "#test/kit/eventually.ts";

const DOMAIN = { name: "a", uuid: "00000000-0000-0000-0000-00000000000a", id: 7 };

let server: FakeLibvirtServer;
let libvirt: Libvirt;

beforeEach(async () => {
  server = await FakeLibvirtServer.listen();
  libvirt = await connectLibvirt(server.uri, { backoffMsMax: 100 });
});

afterEach(async () => {
  await libvirt[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

const registrations = () =>
  server.received.filter(({ name }) => name === "connectDomainEventCallbackRegisterAny").length;

function sendLifecycle(peer: Peer, event: number, detail: number): void {
  const { procedure, gives } = DOMAIN_EVENT.lifecycle;
  const payload = encode(gives, { callback: 0, domain: DOMAIN, event, detail });
  peer.send({ procedure, type: FRAME_TYPE.event, serial: 1, payload });
}

async function next(events: AsyncIterator<LibvirtEvent>): Promise<LibvirtEvent> {
  return (await events.next()).value;
}

test("the first event says that events flow, and every kind comes through with names", async () => {
  const events = libvirt.events()[Symbol.asyncIterator]();
  expect(await next(events)).toEqual({ kind: "connected" });
  const { reboot, watchdog, ioError, controlError } = DOMAIN_EVENT;
  const peer = server.lastPeer;
  const send = (procedure: number, payload: Buffer) =>
    peer.send({ procedure, type: FRAME_TYPE.event, serial: 1, payload });
  const [callback, domain] = [3, DOMAIN];
  sendLifecycle(peer, 5, 5);
  sendLifecycle(peer, 8, 0);
  sendLifecycle(peer, 99, 98);
  send(reboot.procedure, encode(reboot.gives, { callback, domain }));
  send(watchdog.procedure, encode(watchdog.gives, { callback, domain, action: 3 }));
  const io = { callback, domain, path: "/disk", device: "vda", action: 1, reason: "enospc" };
  send(ioError.procedure, encode(ioError.gives, io));
  send(controlError.procedure, encode(controlError.gives, { callback, domain }));
  const lifecycle = { kind: "lifecycle", domain };
  expect([
    await next(events),
    await next(events),
    await next(events),
    await next(events),
    await next(events),
    await next(events),
    await next(events),
  ]).toEqual([
    { ...lifecycle, event: "stopped", detail: "failed", eventCode: 5, detailCode: 5 },
    { ...lifecycle, event: "crashed", detail: "panicked", eventCode: 8, detailCode: 0 },
    { ...lifecycle, event: "unknown", detail: "unknown", eventCode: 99, detailCode: 98 },
    { kind: "reboot", domain },
    { kind: "watchdog", domain, action: "poweroff" },
    { kind: "io-error", domain, path: "/disk", device: "vda", action: "pause", reason: "enospc" },
    { kind: "control-error", domain },
  ]);
});

test("libvirt is asked for events once per connection, and only when somebody reads", async () => {
  expect(registrations()).toBe(0);
  const [one, two] = [libvirt.events(), libvirt.events()].map((e) => e[Symbol.asyncIterator]());
  if (one === undefined || two === undefined) return expect.fail("no iterators");
  expect(await Promise.all([next(one), next(two)])).toEqual([
    { kind: "connected" },
    { kind: "connected" },
  ]);
  expect(registrations()).toBe(Object.keys(DOMAIN_EVENT).length);
  sendLifecycle(server.lastPeer, 2, 0);
  expect([await next(one), await next(two)]).toMatchObject([
    { event: "started", detail: "booted" },
    { event: "started", detail: "booted" },
  ]);
});

test("a lost connection is told, events are asked for again, and flow on", async () => {
  const events = libvirt.events()[Symbol.asyncIterator]();
  expect(await next(events)).toEqual({ kind: "connected" });
  server.lastPeer.socket.destroy();
  expect(await next(events)).toMatchObject({ kind: "disconnected", error: { trouble: "lost" } });
  expect(await next(events)).toEqual({ kind: "reconnected" });
  expect(registrations()).toBe(2 * Object.keys(DOMAIN_EVENT).length);
  sendLifecycle(server.lastPeer, 5, 1);
  expect(await next(events)).toMatchObject({ event: "stopped", detail: "destroyed" });
});

test("an event that comes before the daemon has taken all registrations is not told before the marker", async () => {
  server.on("connectDomainEventCallbackRegisterAny", (call) => {
    sendLifecycle(call.peer, 2, 0);
    call.reply(call.args.event);
  });
  const events = libvirt.events()[Symbol.asyncIterator]();
  expect(await next(events)).toEqual({ kind: "connected" });
  sendLifecycle(server.lastPeer, 5, 0);
  expect(await next(events)).toMatchObject({ event: "stopped" });
});

test("a connection that dies while it registers events is replaced once more", async () => {
  const events = libvirt.events()[Symbol.asyncIterator]();
  expect(await next(events)).toEqual({ kind: "connected" });
  server.once("connectDomainEventCallbackRegisterAny", ({ peer }) => peer.socket.destroy());
  server.lastPeer.socket.destroy();
  expect(await next(events)).toMatchObject({ kind: "disconnected" });
  const other = libvirt.events()[Symbol.asyncIterator]();
  expect(await next(other)).toEqual({ kind: "connected" });
  expect(await next(events)).toEqual({ kind: "reconnected" });
  expect(server.peers.length).toBe(3);
});

test("a reader that begins while the daemon is away is told when events flow", async () => {
  await server.shut();
  const first = libvirt.events()[Symbol.asyncIterator]().next();
  await server.open();
  expect((await first).value).toEqual({ kind: "connected" });
});

test("a slow reader loses the oldest events and is told how many", async () => {
  const events = libvirt.events()[Symbol.asyncIterator]();
  await next(events);
  const sent = EVENTS_MAX + 10;
  for (let i = 0; i < sent; i += 1) sendLifecycle(server.lastPeer, 2, i);
  server.on("connectGetHostname", (call) => call.reply("behind the events"));
  await libvirt.host.hostname();
  expect(await next(events)).toEqual({ kind: "overflow", dropped: 10 });
  expect(await next(events)).toMatchObject({ detailCode: 10 });
});

test("an aborted signal ends the iteration quietly, also while it waits", async () => {
  const abort = new AbortController();
  const kinds: string[] = [];
  const reading = (async () => {
    for await (const { kind } of libvirt.events({ signal: abort.signal })) kinds.push(kind);
  })();
  await eventually(() => kinds.length === 1, 2_000);
  abort.abort();
  await reading;
  expect(kinds).toEqual(["connected"]);
});

test("a daemon that refuses events makes the iteration throw", async () => {
  server.on("connectDomainEventCallbackRegisterAny", (call) => call.refuse(3, "no events here"));
  await expect(next(libvirt.events()[Symbol.asyncIterator]())).rejects.toMatchObject({
    codeName: "VIR_ERR_NO_SUPPORT",
  });
});

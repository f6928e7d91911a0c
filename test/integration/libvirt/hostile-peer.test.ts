import { afterEach, beforeEach, expect, test } from "vitest";
import { connectLibvirt, type Libvirt } from "#libvirt/client.ts";
import { LibvirtConnectionError, LibvirtError } from "#libvirt/error.ts";
import { FRAME_STATUS } from "#libvirt/frame.ts";
import { FAULTS } from "#test/fakes/libvirt-faults.ts";
import { FakeLibvirtServer } from "#test/fakes/libvirt-server.ts";
import { eventually } from "#test/kit/eventually.ts";

let server: FakeLibvirtServer;
let libvirt: Libvirt;

beforeEach(async () => {
  server = await FakeLibvirtServer.listen();
  server.on("connectGetHostname", (call) => call.reply("fake"));
  libvirt = await connectLibvirt(server.uri, { callTimeoutMs: 5_000 });
});

afterEach(async () => {
  await libvirt[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

test.each(Object.keys(FAULTS))(
  "%s rejects the call, ends the connection, and the next call works",
  async (fault) => {
    server.once("connectGetHostname", FAULTS[fault] as never);
    const error = await libvirt.host.hostname().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(LibvirtConnectionError);
    expect(error).toMatchObject({
      trouble: fault.startsWith("the end") ? "lost" : "protocol",
      maybeDone: true,
    });
    expect(await libvirt.host.hostname()).toBe("fake");
    expect(server.peers.length).toBe(2);
  },
);

test("a message cut short without an end is noticed by keepalive", async () => {
  await using impatient = await connectLibvirt(server.uri, {
    keepalive: { intervalMs: 50, missedMax: 2 },
  });
  server.once("connectGetHostname", ({ peer }) => {
    peer.answersPings = false;
    peer.raw(Buffer.from([0, 0, 1, 0, 0x20]));
  });
  await expect(impatient.host.hostname()).rejects.toMatchObject({ trouble: "lost" });
  expect(await impatient.host.hostname()).toBe("fake");
});

test("a refusal carries libvirt's code, names and message, and the connection lives on", async () => {
  server.once("connectGetHostname", (call) => call.refuse(38, "no name today"));
  const error = await libvirt.host.hostname().catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(LibvirtError);
  expect(error).toMatchObject({
    code: 38,
    codeName: "VIR_ERR_SYSTEM_ERROR",
    domainName: "VIR_FROM_NONE",
    level: "error",
    message: "no name today",
    call: "connectGetHostname",
  });
  expect(await libvirt.host.hostname()).toBe("fake");
  expect(server.peers.length).toBe(1);
});

test("a daemon that breaks every connection is asked again ever more slowly", async () => {
  server.on("connectGetHostname", ({ peer }) => peer.raw(Buffer.alloc(4096)));
  const startMs = performance.now();
  const call = async () => await libvirt.host.hostname().catch(() => undefined);
  while (server.peers.length < 6) await call();
  // 50, 100, 200, 400 ms and so on, each shortened by at most half.
  expect(performance.now() - startMs).toBeGreaterThan((50 + 100 + 200 + 400 + 800) / 2);
});

test("answers to pings are withheld from a daemon that does not read them", async () => {
  const peer = server.lastPeer;
  peer.socket.pause();
  const pings = 200_000;
  for (let sent = 0; sent < pings; sent += 1) peer.ping();
  await eventually(() => peer.socket.writableLength === 0, 10_000);
  peer.socket.resume();
  expect(await libvirt.host.hostname()).toBe("fake");
  // A mebibyte of ours and the kernel's buffers hold far fewer answers, of 28 bytes each, than there were pings.
  expect(peer.keepalive.length).toBeLessThan(pings / 2);
  expect(peer.keepalive.length).toBeGreaterThan(0);
});

test("a stream that never ends is given up at its limit, and libvirt is told", async () => {
  const domain = { name: "a", uuid: "00000000-0000-0000-0000-000000000001", id: 1 };
  let flow = true;
  server.on("domainScreenshot", (call) => {
    call.reply("image/png");
    const send = () => {
      if (!flow) return;
      call.peer.send({
        procedure: 211,
        serial: call.serial,
        type: 3,
        status: FRAME_STATUS.continue,
        payload: Buffer.alloc(65_536),
      });
      setImmediate(send);
    };
    send();
  });
  await expect(libvirt.domains.screenshot(domain, { bytesMax: 1024 * 1024 })).rejects.toThrow(
    "longer than 1048576 bytes",
  );
  expect(await libvirt.host.hostname()).toBe("fake");
  expect(server.lastPeer.streamStatus).toEqual([FRAME_STATUS.error]);
  flow = false;
  expect(server.peers.length).toBe(1);
});

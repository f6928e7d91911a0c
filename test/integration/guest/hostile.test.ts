import { execFile } from "node:child_process";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { ServerChannel } from "ssh2";
import { expect, test } from "vitest";
import { SshConnection } from "#host/guest/connection.ts";
import { dial } from "#host/guest/dial.ts";
import { step } from "#test/contract/guests.contract.ts";
import { ROOT } from "#test/kit/house.ts";
import { scratchFolder } from "#test/kit/scratch.ts";
import { connectTo } from "#test/kit/ssh-connect.ts";
import { endStep, type PlayedGuest, playGuest } from "#test/kit/ssh-server.ts";

const MIB = 1024 * 1024;
const NEVER = new AbortController().signal;

/** Prints more than `least` bytes of a pattern as fast as they are taken, without any limit of its own, then ends the step. */
async function flood(channel: ServerChannel, pattern: string, least: number): Promise<void> {
  // Not a part of the window's size: ssh2's server forgets what it has to say on standard error when the window is full.
  const piece = Buffer.alloc(250_000, pattern);
  let sent = 0;
  for (; sent < least && channel.writable; sent += piece.length) {
    const { promise, resolve } = Promise.withResolvers<unknown>();
    channel.write(piece, resolve);
    await promise;
  }
  endStep(channel, `end ended code 0 ${sent}`);
}

type Measured = {
  end: { outcome: string; logBytes: number; cutBytes: number };
  beforeMiB: number;
  peakMiB: number;
};

async function measure(guest: PlayedGuest, logPath: string, limit: number): Promise<Measured> {
  const script = fileURLToPath(import.meta.resolve("#test/kit/ssh-memory.ts"));
  const args = [script, String(guest.port), logPath, String(limit)];
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const child = execFile(join(ROOT, "bin/testbed-node"), args, (error, stdout) => {
    if (error === null) resolve(stdout);
    else reject(error);
  });
  const { clientKey, hostKey } = guest.access;
  child.stdin?.end(JSON.stringify({ clientKey, hostKey: hostKey.toString("base64") }));
  return JSON.parse(await promise) as Measured;
}

for (const [kind, pattern] of [
  ["with newlines", "0123456789abcde\n"],
  ["without any", "x"],
  ["of NUL bytes", "\0"],
] as const) {
  test(`a gigabyte of log ${kind}, from a guest that keeps no limit, costs little memory`, async () => {
    await using home = await scratchFolder();
    await using guest = await playGuest({
      onStep: (channel) => void flood(channel, pattern, 1024 * MIB),
    });
    const logPath = join(home.path, "log");
    const { end, peakMiB, beforeMiB } = await measure(guest, logPath, 8 * MIB);
    expect(end).toMatchObject({ outcome: "passed", logBytes: 8 * MIB });
    expect(end.cutBytes).toBeGreaterThan(1000 * MIB);
    expect((await stat(logPath)).size).toBeLessThan(8 * MIB + 200);
    expect(peakMiB).toBeLessThan(200);
    expect(peakMiB - beforeMiB).toBeLessThan(80);
  }, 120_000);
}

test("a guest that ignores flow control loses its connection", async () => {
  await using guest = await playGuest({
    onStep: (channel) => {
      const inside = channel as unknown as {
        outgoing: { id: number };
        _client: { _protocol: { channelData(id: number, data: Buffer): void } };
      };
      const piece = Buffer.alloc(32_000, "x");
      const push = () => {
        for (let i = 0; i < 50; i += 1) {
          inside._client._protocol.channelData(inside.outgoing.id, piece);
        }
      };
      const timer = setInterval(push, 1);
      channel.once("close", () => clearInterval(timer));
    },
  });
  const { socket } = await dial({
    address: "127.0.0.1",
    port: guest.port,
    connectMs: 1000,
    bannerMs: 1000,
    signal: NEVER,
  });
  using connection = await SshConnection.open(socket, guest.access, {
    handshakeMs: 5000,
    signal: NEVER,
  });
  // Nobody reads: the host is stuck, as on a dead disk.
  using _unread = await connection.exec("sh '/run/testbed/runner' '/logs' 'step' '1'", NEVER);
  await new Promise((resolve) => connection.lost.addEventListener("abort", resolve));
  expect(connection.lost.reason).toMatchObject({
    message: expect.stringContaining("flow control"),
  });
});

test("a guest that says nonsense of how a step ended has lost its runner", async () => {
  await using home = await scratchFolder();
  await using guest = await playGuest({
    onStep: (channel) => endStep(channel, "end ended code 99999999999999999999 -1"),
  });
  await using connected = await connectTo(guest);
  const running = connected.run(step(home.path, 1, "true"), NEVER);
  await expect(running).rejects.toMatchObject({ code: "guest-runner-lost" });
});

test("a guest whose runner keeps no time is stopped by the host, a little later", async () => {
  await using home = await scratchFolder();
  await using guest = await playGuest({ onStep: (channel) => void channel.write("begun") });
  await using connected = await connectTo(guest);
  const order = step(home.path, 1, "true", { timeoutSeconds: 1 });
  const startedAtMs = performance.now();
  const end = await connected.run(order, NEVER);
  expect(end).toEqual({ outcome: "timed-out", logBytes: 5, cutBytes: 0 });
  expect(performance.now() - startedAtMs).toBeLessThan(10_000);
});

test("a guest that drops every connection at once is unreachable", async () => {
  await using home = await scratchFolder();
  await using guest = await playGuest({ onStep: (channel) => channel.end() });
  await using connected = await connectTo(guest);
  const running = connected.run(step(home.path, 1, "true"), NEVER);
  await expect(running).rejects.toMatchObject({ code: "guest-unreachable" });
});

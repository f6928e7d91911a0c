import { KeyObject } from "node:crypto";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import ssh2, { type ClientChannel } from "ssh2";
import { expect, test } from "vitest";
import { gatherWrites, keepKeyObjects } from "#host/guest/fast-packets.ts";
import { type PlayedGuest, playGuest } from "#test/kit/ssh-server.ts";

/**
 * fast-packets.ts does nothing where it does not find ssh2 as it knows it, so that a newer ssh2 is slow and not wrong.
 * These tests are how one learns of it.
 */
async function logIn(guest: PlayedGuest, prepare: (client: ssh2.Client, socket: Socket) => void) {
  const socket = connect(guest.port, "127.0.0.1");
  await once(socket, "connect");
  const client = new ssh2.Client();
  prepare(client, socket);
  client.connect({
    sock: socket,
    username: "root",
    privateKey: guest.access.clientKey,
    algorithms: { cipher: ["aes128-gcm@openssh.com"] },
  });
  await once(client, "ready");
  return { client, socket, [Symbol.dispose]: () => void client.destroy() };
}

async function echo(client: ssh2.Client, text: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<ClientChannel>();
  client.exec("sh 'step'", (error, channel) => (error ? reject(error) : resolve(channel)));
  const channel = await promise;
  channel.end(text);
  return (await channel.setEncoding("utf8").toArray()).join("");
}

test("the keys of both directions become key objects, and what is sent with them is understood", async () => {
  await using guest = await playGuest({ onStep: (channel) => void channel.pipe(channel) });
  let handshakes = 0;
  using connected = await logIn(guest, (client) =>
    client.on("handshake", () => {
      handshakes += 1;
      keepKeyObjects(client);
    }),
  );
  const text = "x".repeat(100_000);
  expect(await echo(connected.client, text)).toBe(text);
  expect(handshakes).toBe(1);
  const { _protocol: protocol } = connected.client as unknown as {
    _protocol: Readonly<Record<"_cipher" | "_decipher", object>>;
  };
  for (const direction of [protocol._cipher, protocol._decipher]) {
    expect(Object.values(direction).filter((field) => field instanceof KeyObject)).toHaveLength(1);
  }
});

test("a packet is one write to the system, whatever the number of its parts", async () => {
  await using guest = await playGuest({ onStep: (channel) => void channel.pipe(channel) });
  const writes: number[] = [];
  using connected = await logIn(guest, (_client, socket) => {
    gatherWrites(socket);
    countWrites(socket, writes);
  });
  writes.length = 0;
  expect(await echo(connected.client, "x")).toBe("x");
  // The channel, its command, its data with its end, its close: five packets, and 15 writes if each part were one.
  expect(writes.length).toBeGreaterThan(0);
  expect(writes.length).toBeLessThanOrEqual(5);
});

/** Notes of each system call with how many pieces it was made. */
function countWrites(socket: Socket, writes: number[]): void {
  const { _write: one, _writev: many } = socket;
  socket._write = (...args) => {
    writes.push(1);
    one.apply(socket, args);
  };
  socket._writev = (chunks, done) => {
    writes.push(chunks.length);
    many?.call(socket, chunks, done);
  };
}

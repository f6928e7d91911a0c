import { expect, test } from "vitest";
import { Fault } from "#job/fault.ts";
import { connectTo } from "#test/kit/ssh-connect.ts";
import { LoopbackMachine } from "#test/kit/ssh-machine.ts";
import { type Behaviour, playGuest } from "#test/kit/ssh-server.ts";
import { freePort } from "#test/kit/ssh-sshd.ts";

/** What each way of not being ready is called. All within the half second that the requirement has. */
const UNREADY: { says: string; code: string; stage: string; behaviour: Behaviour }[] = [
  {
    says: "another host key than its own",
    code: "guest-wrong-host-key",
    stage: "host key matches",
    behaviour: { hasWrongHostKey: true },
  },
  {
    says: "our key refused",
    code: "guest-login-refused",
    stage: "login works",
    behaviour: { refusesLogin: true },
  },
  {
    says: "connections that are accepted and never spoken to",
    code: "guest-no-ssh",
    stage: "banner",
    behaviour: { onConnection: (socket) => socket.resume() },
  },
  {
    says: "connections that are closed at once",
    code: "guest-no-ssh",
    stage: "banner",
    behaviour: { onConnection: (socket) => socket.end() },
  },
  {
    says: "a banner without end",
    code: "guest-no-ssh",
    stage: "banner",
    behaviour: {
      onConnection: (socket) => {
        const chatter = () => {
          while (socket.writable && socket.write("not SSH, and there is more of it\n"));
        };
        socket.on("drain", chatter);
        chatter();
      },
    },
  },
  {
    says: "a banner that comes a byte at a time",
    code: "guest-no-ssh",
    stage: "banner",
    behaviour: {
      onConnection: (socket) => {
        const timer = setInterval(() => socket.write("S"), 100);
        socket.once("close", () => clearInterval(timer));
      },
    },
  },
  {
    says: "a banner and no key exchange",
    code: "guest-no-ssh",
    stage: "host key matches",
    behaviour: { onConnection: (socket) => socket.write("SSH-2.0-tarpit\r\n") && socket.resume() },
  },
];

for (const { says, code, stage, behaviour } of UNREADY) {
  test(`${says}: ${code}`, async () => {
    await using guest = await playGuest(behaviour);
    const machine = new LoopbackMachine();
    const error = await connectTo(guest, { machine, sshSeconds: 1 }).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(Fault);
    expect(error).toMatchObject({ code, stage });
    expect((error as Fault).evidence).toMatchObject({
      console: expect.stringContaining("Linux version"),
      leases: ["127.0.0.1"],
    });
  });
}

test("a guest with a wrong host key is never offered our key", async () => {
  await using guest = await playGuest({ hasWrongHostKey: true });
  await expect(connectTo(guest, { sshSeconds: 1 })).rejects.toThrow();
  expect(guest.logins).toEqual([]);
});

test("nothing but our key is offered, once per connection", async () => {
  await using guest = await playGuest({});
  await using _connected = await connectTo(guest);
  expect(new Set(guest.logins)).toEqual(new Set(["publickey"]));
});

test("a port that refuses: guest-no-ssh at `port answers`", async () => {
  await using guest = await playGuest({});
  const options = { port: await freePort() };
  const error = connectTo(guest, { options, sshSeconds: 1 });
  await expect(error).rejects.toMatchObject({ code: "guest-no-ssh", stage: "port answers" });
});

test("a silent console: image-unbootable", async () => {
  await using guest = await playGuest({});
  const machine = new LoopbackMachine();
  machine.consoleText = "";
  machine.addressList = [];
  const connecting = connectTo(guest, { machine, sshSeconds: 1 });
  await expect(connecting).rejects.toMatchObject({
    code: "image-unbootable",
    stage: "console speaks",
  });
});

test("a machine that has no address: guest-no-ssh at `address found`", async () => {
  await using guest = await playGuest({});
  const machine = new LoopbackMachine();
  machine.addressList = [];
  const connecting = connectTo(guest, { machine, sshSeconds: 1 });
  await expect(connecting).rejects.toMatchObject({ stage: "address found" });
});

test("a kernel panic on the console wins at once, with its line", async () => {
  await using guest = await playGuest({ onConnection: (socket) => socket.resume() });
  const machine = new LoopbackMachine();
  machine.consoleText += "Kernel panic - not syncing: VFS: Unable to mount root fs\n";
  const startedAtMs = performance.now();
  const error = await connectTo(guest, { machine }).catch((e: unknown) => e);
  expect(error).toMatchObject({
    code: "image-panicked",
    message: expect.stringContaining("Unable to mount root fs"),
  });
  expect(performance.now() - startedAtMs).toBeLessThan(2000);
});

test("a machine that powers itself off while it boots is the image's doing", async () => {
  await using guest = await playGuest({ onConnection: (socket) => socket.resume() });
  const machine = new LoopbackMachine();
  const connecting = connectTo(guest, { machine });
  machine.end(new Fault("guest-powered-off", "the guest powered itself off"));
  await expect(connecting).rejects.toMatchObject({ code: "image-powered-off" });
});

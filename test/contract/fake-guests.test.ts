import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { FakeGuests } from "#test/fakes/fake-guests.ts";
import { PAPER_IMAGE } from "#test/kit/orders.ts";
import { scratchFolder } from "#test/kit/scratch.ts";
import { LoopbackMachine } from "#test/kit/ssh-machine.ts";
import { describeGuests, type GuestUnderTest, step } from "./guests.contract.ts";
import { describeResumedGuests } from "./resumed-guests.contract.ts";

const NEVER = new AbortController().signal;
const ACCESS = { login: "root", clientKey: "", hostKey: Buffer.alloc(0), seedPath: "/none" };

async function connect(guests: FakeGuests, machine = new LoopbackMachine()) {
  return await guests.connect(machine, ACCESS, PAPER_IMAGE, () => undefined, NEVER);
}

async function guestUnderTest(): Promise<GuestUnderTest> {
  const folder = await scratchFolder();
  const [guests, machine] = [new FakeGuests(), new LoopbackMachine()];
  const guest = await connect(guests, machine);
  return {
    guest,
    folder: folder.path,
    resume: (place) => guests.resume({ machine, place }, NEVER),
    [Symbol.asyncDispose]: async () => {
      await guest[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

describeGuests(guestUnderTest);
describeResumedGuests(guestUnderTest);

test("a dialled fault is thrown once", async () => {
  const guests = new FakeGuests();
  const fault = new Error("dialled");
  guests.failNext("connect", fault);
  await expect(connect(guests)).rejects.toBe(fault);
  await using guest = await connect(guests);
  expect(guests.guests).toContain(guest);
});

test("a verb that hangs ends by its signal", async () => {
  const guests = new FakeGuests();
  guests.hangNext("prepare");
  const reason = new Error("enough");
  const identity = { installation: "0".repeat(32), job: "job", attempt: 1 };
  const order = { folder: "/none", identity, name: "none", image: PAPER_IMAGE };
  const preparing = guests.prepare(
    { ...order, curfewSeconds: undefined },
    AbortSignal.abort(reason),
  );
  await expect(preparing).rejects.toBe(reason);
});

test("steps outlive a daemon that is killed, whose verbs never come back; and no reboot", async () => {
  await using home = await scratchFolder();
  const guests = new FakeGuests();
  const machine = new LoopbackMachine();
  const killed = await connect(guests, machine);
  const order = step(home.path, 1, `echo begun; until [ -e ${home.path}/go ]; do sleep 0.01; done`);
  const { promise: begun, resolve } = Promise.withResolvers<void>();
  let isBack = false;
  const running = killed.run({ ...order, onLog: () => resolve() }, NEVER).finally(() => {
    isBack = true;
  });
  running.catch(() => undefined);
  await begun;
  guests.forsake();
  const next = await guests.resume({ machine, place: killed.place }, NEVER);
  await writeFile(join(home.path, "go"), "");
  expect(await next.run(order, NEVER)).toMatchObject({ outcome: "passed", logBytes: 6 });
  guests.reboot(machine.name);
  await expect(next.run(order, NEVER)).rejects.toMatchObject({ code: "guest-runner-lost" });
  expect(isBack).toBe(false);
});

test("steps end with their machine", async () => {
  await using home = await scratchFolder();
  const guests = new FakeGuests();
  const machine = new LoopbackMachine();
  await using guest = await connect(guests, machine);
  const order = step(home.path, 1, `echo begun; sleep 600`);
  const running = guest.run({ ...order, onLog: () => machine.end(new Error("off")) }, NEVER);
  await expect(running).rejects.toThrow("off");
});

import { expect, test } from "vitest";
import { FakeGuests } from "#test/fakes/fake-guests.ts";
import { PAPER_IMAGE } from "#test/kit/orders.ts";
import { scratchFolder } from "#test/kit/scratch.ts";
import { LoopbackMachine } from "#test/kit/ssh-machine.ts";
import { describeGuests } from "./guests.contract.ts";

const NEVER = new AbortController().signal;
const ACCESS = { login: "root", clientKey: "", hostKey: Buffer.alloc(0), seedPath: "/none" };

async function connect(guests: FakeGuests) {
  return await guests.connect(new LoopbackMachine(), ACCESS, PAPER_IMAGE, () => undefined, NEVER);
}

describeGuests(async () => {
  const folder = await scratchFolder();
  const guest = await connect(new FakeGuests());
  return {
    guest,
    folder: folder.path,
    [Symbol.asyncDispose]: async () => {
      await guest[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
});

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
  const preparing = guests.prepare(
    { folder: "/none", image: PAPER_IMAGE },
    AbortSignal.abort(reason),
  );
  await expect(preparing).rejects.toBe(reason);
});

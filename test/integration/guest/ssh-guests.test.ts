import { mkdtemp } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect } from "vitest";
import { SshGuests } from "#host/guest/ssh-guests.ts";
import type { GuestPlace } from "#host/runner/guest-port.ts";
import { describeGuests, type GuestUnderTest } from "#test/contract/guests.contract.ts";
import { describeResumedGuests } from "#test/contract/resumed-guests.contract.ts";
import { PAPER_IMAGE } from "#test/kit/orders.ts";
import { LoopbackMachine } from "#test/kit/ssh-machine.ts";
import { type LoopbackSshd, startSshd } from "#test/kit/ssh-sshd.ts";

let sshd: LoopbackSshd;
beforeAll(async () => {
  sshd = await startSshd();
});
afterAll(async () => {
  await sshd[Symbol.asyncDispose]();
});

async function guestUnderTest(): Promise<GuestUnderTest> {
  const own = await mkdtemp(join(sshd.folder, "guest-"));
  const [stateFolder, logFolder] = [join(own, "run"), join(own, "logs")];
  const make = () => new SshGuests({ ...sshd.options, stateFolder, logFolder });
  const guests = make();
  const machine = new LoopbackMachine();
  const met: string[] = [];
  const guest = await guests.connect(
    machine,
    sshd.access,
    PAPER_IMAGE,
    (name, state) => {
      if (state === "met") met.push(name);
    },
    new AbortController().signal,
  );
  expect(met).toHaveLength(8);
  const folder = await mkdtemp(join(sshd.folder, "files-"));
  const { access } = sshd;
  const resume = (place: GuestPlace) =>
    make().resume({ machine, access, place }, new AbortController().signal);
  return { guest, folder, resume, [Symbol.asyncDispose]: () => guest[Symbol.asyncDispose]() };
}

describeGuests(guestUnderTest);
describeResumedGuests(guestUnderTest);

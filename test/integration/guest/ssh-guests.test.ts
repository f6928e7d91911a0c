import { mkdtemp } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect } from "vitest";
import { SshGuests } from "#host/guest/ssh-guests.ts";
import { describeGuests } from "#test/contract/guests.contract.ts";
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

describeGuests(async () => {
  const own = await mkdtemp(join(sshd.folder, "guest-"));
  const guests = new SshGuests({
    ...sshd.options,
    stateFolder: join(own, "run"),
    logFolder: join(own, "logs"),
  });
  const met: string[] = [];
  const guest = await guests.connect(
    new LoopbackMachine(),
    sshd.access,
    PAPER_IMAGE,
    (name, state) => {
      if (state === "met") met.push(name);
    },
    new AbortController().signal,
  );
  expect(met).toHaveLength(8);
  const folder = await mkdtemp(join(sshd.folder, "files-"));
  return { guest, folder, [Symbol.asyncDispose]: () => guest[Symbol.asyncDispose]() };
});

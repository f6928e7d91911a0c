import { mkdir, readdir, writeFile } from "node:fs/promises";
import { totalmem } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { admit } from "#host/runner/admission.ts";
import { openStateFolder } from "#host/runner/state-folder.ts";
import { Fault } from "#job/fault.ts";
import { FakeHypervisor } from "#test/fakes/fake-hypervisor.ts";
import { machineOrder } from "#test/kit/orders.ts";
import { scratchFolder } from "#test/kit/scratch.ts";

const silent = () => undefined;
const inTime = () => AbortSignal.timeout(4_000);

async function host(path: string) {
  const state = await openStateFolder(join(path, "state"));
  const hypervisor = new FakeHypervisor();
  const need = (job: string, memoryMiB = 256) => ({
    identity: { installation: state.installation, job, attempt: 1 },
    memoryMiB,
  });
  return { state, hypervisor, need };
}

test("machines that stand at once get slots of their own, and a slot that is given back is used again", async () => {
  await using folder = await scratchFolder();
  const { need, ...house } = await host(folder.path);
  await using first = await admit(house, need("one"), silent, inTime());
  const second = await admit(house, need("two"), silent, inTime());
  expect([first.record.slot, second.record.slot]).toEqual([0, 1]);
  await second[Symbol.asyncDispose]();
  await using third = await admit(house, need("three"), silent, inTime());
  expect(third.record.slot).toBe(1);
});

test("giving a place back leaves nothing behind", async () => {
  await using folder = await scratchFolder();
  const { need, ...house } = await host(folder.path);
  await (await admit(house, need("one"), silent, inTime()))[Symbol.asyncDispose]();
  expect(await readdir(join(house.state.path, "machines"))).toEqual([]);
});

test("a machine whose maker died is swept, with its folder and its domain", async () => {
  await using folder = await scratchFolder();
  const { need, ...house } = await host(folder.path);
  // No lock is held on this folder: exactly what kill -9 leaves.
  const order = await machineOrder(house.state, "dead");
  await house.hypervisor.boot(order, inTime());
  const lines: string[] = [];
  await using _ = await admit(house, need("next"), (line) => lines.push(line), inTime());
  expect(house.hypervisor.machines.size).toBe(0);
  expect(await readdir(join(house.state.path, "machines"))).not.toContain(order.name);
  expect(lines).toEqual([`swept the leftover machine ${order.name}`]);
});

test("a domain of ours without any folder is swept", async () => {
  await using folder = await scratchFolder();
  await using elsewhere = await scratchFolder();
  const { need, ...house } = await host(folder.path);
  const order = await machineOrder({ ...house.state, path: elsewhere.path }, "dead");
  await house.hypervisor.boot(order, inTime());
  await using _ = await admit(house, need("next"), silent, inTime());
  expect(house.hypervisor.machines.size).toBe(0);
});

test("a machine that lives is not swept", async () => {
  await using folder = await scratchFolder();
  const { need, ...house } = await host(folder.path);
  await using live = await admit(house, need("live"), silent, inTime());
  await house.hypervisor.boot(await machineOrder(house.state, "live"), inTime());
  await using _ = await admit(house, need("next"), silent, inTime());
  expect([...house.hypervisor.machines.keys()]).toEqual([live.record.name]);
});

test("a kept machine is left alone, holds its slot, and is swept once its domain is gone", async () => {
  await using folder = await scratchFolder();
  const { need, ...house } = await host(folder.path);
  const kept = await admit(house, need("kept"), silent, inTime());
  await house.hypervisor.boot(await machineOrder(house.state, "kept"), inTime());
  await kept.keep("fe80::1");
  await kept[Symbol.asyncDispose]();
  const beside = await admit(house, need("beside"), silent, inTime());
  expect(beside.record.slot).toBe(1);
  await beside[Symbol.asyncDispose]();
  house.hypervisor.machines.clear();
  await using after = await admit(house, need("after"), silent, inTime());
  expect(after.record.slot).toBe(0);
  expect(await readdir(join(house.state.path, "machines"))).toEqual([after.record.name]);
});

test("a leftover that resists keeps its slot and does not stop the next machine", async () => {
  await using folder = await scratchFolder();
  const { need, ...house } = await host(folder.path);
  const kept = await admit(house, need("stuck"), silent, inTime());
  await kept.keep(undefined);
  await kept[Symbol.asyncDispose]();
  house.hypervisor.failNext("remove", new Error("it would not go"));
  const lines: string[] = [];
  await using next = await admit(house, need("next"), (line) => lines.push(line), inTime());
  expect(next.record.slot).toBe(1);
  expect(lines.join()).toContain("it would not go");
});

test("a machine waits for memory that others hold, says so once, and goes on when it is free", async () => {
  await using folder = await scratchFolder();
  const { need, ...house } = await host(folder.path);
  const most = Math.floor(totalmem() / 2 ** 20) - 512 - 192;
  const first = await admit(house, need("big", most), silent, inTime());
  const lines: string[] = [];
  const waiting = admit(house, need("small"), (line) => lines.push(line), inTime());
  await expect.poll(() => lines.length).toBe(1);
  expect(lines[0]).toContain("waiting for room");
  await first[Symbol.asyncDispose]();
  await using second = await waiting;
  expect(second.record.slot).toBe(0);
  expect(lines.length).toBe(1);
});

test("a machine that can never fit is refused at once", async () => {
  await using folder = await scratchFolder();
  const { need, ...house } = await host(folder.path);
  const wish = admit(house, need("huge", 2 ** 30), silent, inTime());
  const fault = Fault.from(await wish.catch((error: unknown) => error));
  expect(fault.code).toBe("host-no-room");
});

test("waiting ends with the reason of the signal", async () => {
  await using folder = await scratchFolder();
  const { need, ...house } = await host(folder.path);
  const most = Math.floor(totalmem() / 2 ** 20) - 512 - 192;
  await using _ = await admit(house, need("big", most), silent, inTime());
  const cancel = new AbortController();
  const waiting = admit(
    house,
    need("small"),
    () => cancel.abort(new Fault("bug", "enough")),
    cancel.signal,
  );
  expect(Fault.from(await waiting.catch((error: unknown) => error)).message).toBe("enough");
});

test("a folder that a crash left half removed is swept", async () => {
  await using folder = await scratchFolder();
  const { need, ...house } = await host(folder.path);
  const machines = join(house.state.path, "machines");
  await mkdir(join(machines, "gone-testbed-01234567-0123456789abcdef"));
  await using place = await admit(house, need("next"), silent, inTime());
  expect(await readdir(machines)).toEqual([place.record.name]);
});

test("runs that come and go while others sweep disturb nobody", async () => {
  await using folder = await scratchFolder();
  const { need, ...house } = await host(folder.path);
  const comeAndGo = async (who: number) => {
    for (let turn = 0; turn < 10; turn += 1) {
      const place = await admit(house, need(`${who}-${turn}`), silent, inTime());
      await place[Symbol.asyncDispose]();
    }
  };
  await Promise.all([1, 2, 3, 4].map(comeAndGo));
  expect(await readdir(join(house.state.path, "machines"))).toEqual([]);
});

for (const damage of ["", "{", "null", '{"name":"somebody"}']) {
  test(`a record that reads ${JSON.stringify(damage)} stops nobody, and its machine is swept`, async () => {
    await using folder = await scratchFolder();
    const { need, ...house } = await host(folder.path);
    const order = await machineOrder(house.state, "damaged");
    await writeFile(join(order.folder, "machine.json"), damage);
    await using place = await admit(house, need("next"), silent, inTime());
    expect(await readdir(join(house.state.path, "machines"))).toEqual([place.record.name]);
  });
}

import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { sweep } from "#host/runner/sweep.ts";
import { makeFolders } from "#lib/make-folders.ts";
import { type TestDriverRoom, testDriverRoom } from "#test/kit/test-driver-machines.ts";

const LEFTOVERS = 50;
const SWEPT_MS = 60_000;

let room: TestDriverRoom;
beforeEach(async () => {
  room = await testDriverRoom();
});
afterEach(() => room[Symbol.asyncDispose]());

test("the leftovers of fifty attempts are swept in time, running or not, and nothing else is", async () => {
  const { hypervisor, libvirt, libvirtd, installation, inTime } = room;
  const state = { path: libvirtd.folder, installation };
  await makeFolders(join(state.path, "machines"), 0o755);
  for (let count = 0; count < LEFTOVERS; count += 1) {
    const { domain } = await room.machine(`leftover-${count}`);
    if (count % 2 === 0) await libvirt.domains.create(domain);
  }
  const stranger = await room.machine("stranger", { metadata: {} });
  await libvirt.domains.create(stranger.domain);
  const startMs = performance.now();
  const { swept, failed } = await sweep(state, hypervisor, inTime());
  expect(performance.now() - startMs).toBeLessThan(SWEPT_MS);
  // The stranger's folder is ours and goes; its domain is not.
  expect([swept.length, failed]).toEqual([LEFTOVERS + 1, []]);
  expect(await hypervisor.list(installation, inTime())).toEqual([]);
  const left = (await libvirt.domains.list()).map(({ name }) => name).sort();
  expect(left).toEqual(["test", stranger.order.name]);
});

import { chmod, mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { SshGuests } from "#host/guest/ssh-guests.ts";
import { LibvirtHypervisor } from "#host/hypervisor/libvirt-hypervisor.ts";
import type { Access, Image, Machine } from "#host/runner/ports.ts";
import { step } from "#test/contract/guests.contract.ts";
import { eventually } from "#test/kit/eventually.ts";
import { TEST_STATE } from "#test/kit/house.ts";
import { machineOrder } from "#test/kit/orders.ts";
import { realImages } from "#test/kit/real-images.ts";
import { forgetNetwork } from "#test/kit/slot-networks.ts";

/** No daemon has it: nobody else looks after its machines. */
const INSTALLATION = "c0f1f3e0".repeat(4);
const URI = "qemu:///system";
const inTime = () => AbortSignal.timeout(1_000_000);

/** Machines of real images, each in a slot of its own, that nobody connects to unless the test does. */
async function machines() {
  await mkdir(TEST_STATE, { recursive: true });
  const folder = await mkdtemp(join(TEST_STATE, "curfew-"));
  // mkdtemp makes it 0700, and QEMU runs as another user.
  await chmod(folder, 0o711);
  const scope = new AsyncDisposableStack();
  scope.defer(() => rm(folder, { recursive: true }));
  const hypervisor = scope.use(new LibvirtHypervisor(URI));
  const images = realImages();
  const guests = new SshGuests();
  let slots = 0;
  const boot = async (name: string, curfewSeconds: number) => {
    const image = await images.resolve(name, () => undefined, inTime());
    const slot = slots++;
    const job = `curfew-${process.hrtime.bigint()}`;
    const paper = await machineOrder({ path: folder, installation: INSTALLATION }, job, slot);
    await images.overlay(image, paper.diskPath, undefined, inTime());
    const access = await guests.prepare({ ...paper, image, curfewSeconds }, inTime());
    const { memoryMiBMin: memoryMiB } = image;
    const order = { ...paper, image, memoryMiB, seedPath: access.seedPath };
    scope.defer(() => forgetNetwork(INSTALLATION, slot));
    const machine = scope.use(await hypervisor.boot(order, inTime()));
    return { machine, access, image };
  };
  const connect = async ({ machine, access, image }: Booted) =>
    scope.use(await guests.connect(machine, access, image, () => undefined, inTime()));
  return { folder, boot, connect, [Symbol.asyncDispose]: () => scope.disposeAsync() };
}

type Booted = { machine: Machine; access: Access; image: Image };

const secondsSince = (machine: Machine) => (performance.now() - machine.startedAtMs) / 1000;

async function poweredOff(machine: Machine, seconds: number): Promise<void> {
  await eventually(() => machine.ended.aborted, seconds * 1000);
  expect(machine.ended.reason).toMatchObject({ code: "guest-powered-off" });
}

/** Of the process that waits for the curfew: how many there are, what it holds open, whose it is, how soon the kernel would kill it. */
const LOOK = `set -- $(grep -l '[o] >/proc/sysrq-trigger' /proc/[0-9]*/cmdline)
echo "$#"
cd "\${1%/*}" && for at in fd/*; do readlink "$at"; done
stat -c %u .
cat oom_score_adj`;

test("a micro machine with nobody connected powers itself off at its curfew, and not before; one whose curfew is later lives", async () => {
  await using room = await machines();
  const later = await room.boot("micro", 3600);
  const { machine } = await room.boot("micro", 40);
  const guest = await room.connect(later);
  const look = step(room.folder, 1, LOOK);
  await guest.run(look, inTime());
  expect(await readFile(look.logPath, "utf8")).toBe(
    "1\n/dev/null\n/dev/null\n/dev/null\n0\n-1000\n",
  );
  await poweredOff(machine, 150);
  // Counted from the kernel's start, which is a little after QEMU's.
  expect(secondsSince(machine)).toBeGreaterThan(39);
  expect(secondsSince(machine)).toBeLessThan(90);
  expect(later.machine.ended.aborted).toBe(false);
  expect(await guest.run(step(room.folder, 2, "true"), inTime())).toMatchObject({
    outcome: "passed",
  });
});

// Building the image takes a minute or two, booting it under emulation another.
test("a debian-12 machine with nobody connected powers itself off at its curfew", async () => {
  await using room = await machines();
  const { machine } = await room.boot("debian-12", 150);
  await poweredOff(machine, 400);
  expect(secondsSince(machine)).toBeGreaterThan(149);
}, 1_200_000);

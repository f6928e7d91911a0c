import { chmod, mkdir, mkdtemp, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { variablesPath } from "#host/hypervisor/firmware.ts";
import { LibvirtHypervisor } from "#host/hypervisor/libvirt-hypervisor.ts";
import type { MachineOrder } from "#host/runner/ports.ts";
import { eventually } from "#test/kit/eventually.ts";
import { TEST_STATE } from "#test/kit/house.ts";
import { expectNothingLeft } from "#test/kit/leftovers.ts";
import { realImages } from "#test/kit/real-images.ts";
import { realOrder } from "#test/kit/real-orders.ts";
import { forgetNetwork } from "#test/kit/slot-networks.ts";
import { startJob } from "#test/kit/testbed.ts";

/** Names under which this host has a distribution's image, each another way to have got it. */
const WAYS = ["debian-12-uefi"];

const DISK_MIB = 4096;

/** What a distribution's image gives its user, and what this host gives the machine. */
const STEPS = [
  { name: "login", run: 'echo "$(id -un) $HOME $PWD"' },
  { name: "sudo", run: "sudo -n sh -c 'id -un >/dev/stdout'" },
  { name: "firmware", run: "test -d /sys/firmware/efi && echo UEFI" },
  { name: "disk", run: "df --output=size -BM / | tail -n 1" },
  { name: "cloud-init", run: "cloud-init status; cat /run/cloud-init/cloud-id" },
  { name: "curfew", run: "pgrep -cf '[o] >/proc/sysrq-trigger'" },
  { name: "bring home", run: "mkdir out && uname -v >out/kernel" },
];

// Building the image takes a minute or two, booting it under emulation some more.
test.each(WAYS)(
  "a job passes in a distribution's image as it comes, booted by its own boot loader: %s",
  async (image) => {
    await using job = await startJob({
      image,
      timeout: "25m",
      resources: { disk: `${DISK_MIB}MiB` },
      steps: STEPS,
      artifacts: ["/home/debian/out/**"],
    });
    const ran = await job.done;
    expect(ran.exitCode, ran.stderr).toBe(0);
    const { digest, disk } = await realImages().resolve(image, () => undefined, inTime());
    const verdict = await ran.verdict();
    expect(verdict.verdict).toEqual({ kind: "passed" });
    expect(verdict["image"]).toMatchObject({ name: image, digest });
    const said = await Promise.all(
      STEPS.map(({ name }, index) => ran.read(`steps/0${index + 1}-${name.replace(" ", "-")}.log`)),
    );
    const [login, sudo, firmware, size, cloudInit, curfew] = said;
    expect([login, sudo, firmware]).toEqual([
      "debian /home/debian /home/debian\n",
      "root\n",
      "UEFI\n",
    ]);
    expect(Number.parseInt(size ?? "", 10)).toBeGreaterThan(disk.virtualMiB);
    expect(cloudInit).toMatch(/^status: done\nnocloud\n?$/);
    expect(curfew).toBe("1\n");
    expect(await ran.read("artifacts/home/debian/out/kernel")).toContain("Debian");
    await expectNothingLeft();
  },
  2_400_000,
);

test("firmware variables are the machine's own: QEMU's user writes them, an adopted machine keeps them, and they go with its folder", async () => {
  await using room = await firmwareRoom();
  const { order, hypervisor } = room;
  const variables = variablesPath(order.folder);
  const first = await hypervisor.boot(order, inTime());
  const { uid } = await stat(order.diskPath);
  expect(uid).not.toBe(0);
  expect(await stat(variables)).toMatchObject({ uid });
  // The firmware speaks on the console before it looks for a boot loader, which this disk has not.
  await eventually(async () => (await first.console.size()) > 0, 120_000);
  await using machine =
    (await hypervisor.adopt({ ...order, startedAtMs: 0 }, inTime())) ?? expect.fail();
  expect(machine.ended.aborted).toBe(false);
  await first[Symbol.asyncDispose]();
  await machine[Symbol.asyncDispose]();
  expect(await hypervisor.list(order.identity.installation, inTime())).toEqual([]);
  expect((await stat(variables)).isFile()).toBe(true);
});

const INSTALLATION = "0ef10ef1".repeat(4);
const inTime = () => AbortSignal.timeout(120_000);

/** A machine that is to boot by UEFI, for nobody's installation. Its disk is the small image's, on which firmware finds nothing. */
async function firmwareRoom() {
  await mkdir(TEST_STATE, { recursive: true });
  const folder = await mkdtemp(join(TEST_STATE, "uefi-"));
  // mkdtemp makes it 0700, and QEMU runs as another user.
  await chmod(folder, 0o711);
  const scope = new AsyncDisposableStack();
  scope.defer(() => rm(folder, { recursive: true }));
  const { image, ...rest } = await realOrder(folder, INSTALLATION, 0);
  scope.defer(() => forgetNetwork(INSTALLATION, 0));
  const hypervisor = scope.use(new LibvirtHypervisor("qemu:///system"));
  const order: MachineOrder = { ...rest, image: { ...image, boot: { kind: "uefi" } } };
  return { order, hypervisor, [Symbol.asyncDispose]: () => scope.disposeAsync() };
}

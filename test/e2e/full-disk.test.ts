import { appendFile, chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openHostSide } from "#host/hypervisor/firewall.ts";
import { LibvirtHypervisor } from "#host/hypervisor/libvirt-hypervisor.ts";
import { connectLibvirt } from "#libvirt/client.ts";
import { command } from "#test/kit/command.ts";
import { eventually } from "#test/kit/eventually.ts";
import { TEST_STATE } from "#test/kit/house.ts";
import { OwnLibvirt } from "#test/kit/own-libvirt.ts";
import { realOrder } from "#test/kit/real-orders.ts";

/** An installation that exists only in this test. */
const INSTALLATION = "f111d15c".repeat(4);
const inTime = () => AbortSignal.timeout(60_000);

test("a guest that a full disk paused while nobody listened goes on once it is adopted and there is space", async () => {
  await using disk = await smallDisk(96);
  // After the disk is mounted: it sees the mounts of the time when it starts.
  await using libvirtd = await OwnLibvirt.start();
  const order = await realOrder(disk.path, INSTALLATION, 0);
  await disk.fill();
  await using first = new LibvirtHypervisor(libvirtd.uri);
  await first.boot(order, inTime());
  await first[Symbol.asyncDispose]();
  await using libvirt = await connectLibvirt(libvirtd.uri);
  const domain = (await libvirt.domains.lookupByName(order.name)) ?? expect.fail();
  const state = async () => (await libvirt.domains.state(domain)).state;
  await eventually(async () => (await state()) === "paused", 60_000);
  expect(await libvirt.domains.diskErrors(domain)).toEqual([{ disk: "vda", error: "no-space" }]);

  await using later = new LibvirtHypervisor(libvirtd.uri);
  const adopted = await later.adopt({ ...order, startedAtMs: 0 }, inTime());
  expect(adopted?.ended.aborted).toBe(false);
  expect(await state()).toBe("paused");
  await disk.empty();
  await eventually(async () => (await state()) === "running", 10_000);
  expect(adopted?.ended.aborted).toBe(false);
  await adopted?.[Symbol.asyncDispose]();
  await openHostSide(INSTALLATION);
});

/** A file system of so many MiB, in memory. */
async function smallDisk(mib: number) {
  await mkdir(TEST_STATE, { recursive: true });
  const path = await mkdtemp(join(TEST_STATE, "small-"));
  await command("mount", ["-t", "tmpfs", "-o", `size=${mib}m,mode=711`, "none", path]);
  await chmod(path, 0o711);
  const ballast = join(path, "ballast");
  return {
    path,
    fill: async () => {
      await writeFile(ballast, "");
      const piece = Buffer.alloc(64 * 1024);
      for (let isFull = false; !isFull; )
        isFull = await appendFile(ballast, piece).then(
          () => false,
          () => true,
        );
    },
    empty: async () => await rm(ballast),
    [Symbol.asyncDispose]: async () => {
      await command("umount", ["--lazy", path]);
      await rm(path, { recursive: true, force: true });
    },
  };
}

import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { inspectDisk, VIRTUAL_BYTES_MAX } from "#host/images/inspect/inspect-disk.ts";
import { verifyImage } from "#host/images/store/manifest.ts";
import type { Image } from "#host/runner/ports.ts";
import { run } from "#lib/spawn.ts";
import { eventually } from "#test/kit/eventually.ts";
import { TEST_STATE } from "#test/kit/house.ts";
import { expectNothingLeft } from "#test/kit/leftovers.ts";
import { realImages } from "#test/kit/real-images.ts";
import { startJob, startTestbed } from "#test/kit/testbed.ts";

const inTime = () => AbortSignal.timeout(60_000);

/** Whether a file is on an image's disk, with nothing of a machine around it: debugfs(8). */
async function isOnDisk(image: Image, path: string): Promise<boolean> {
  const folder = await mkdtemp(join(tmpdir(), "testbed-disk-"));
  try {
    const raw = join(folder, "disk.raw");
    const options = { timeoutMs: 60_000 };
    await run(
      "qemu-img",
      ["convert", "-f", image.disk.format, "-O", "raw", image.disk.path, raw],
      options,
    );
    return (await run("debugfs", ["-R", `stat ${path}`, raw], options)).includes("Inode:");
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Where each thing is that tells one machine from another, or that one leaves behind. */
const TRACES = [
  "/etc/ssh/ssh_host_rsa_key",
  "/var/lib/dbus/machine-id",
  "/var/lib/systemd/random-seed",
  "/var/lib/cloud/instance",
  "/var/log/old/messages.1",
  "/var/tmp/leftover",
  "/root/.ash_history",
];

test("an image that is derived from micro has what its steps made and no trace of the machine that they ran in", async () => {
  const build = () => startTestbed(["image", "build", "--force", "micro-derived"]);
  const killed = build();
  await eventually(() => killed.output().includes("micro-derived: boot ("), 240_000);
  killed.kill("SIGKILL");
  await killed.done;
  const built = await build().done;
  expect(built.exitCode, built.stderr).toBe(0);
  expect(built.stderr).toContain("swept the leftover machine");
  expect(await readdir(join(TEST_STATE, "images", "building"))).toEqual([]);
  expect(built.stderr).toContain("image micro-derived: live (");
  const image = await realImages().resolve("micro-derived", () => undefined, inTime());
  const base = await realImages().resolve("micro", () => undefined, inTime());
  expect(
    await inspectDisk(
      { path: image.disk.path, format: "qcow2", virtualBytesMax: VIRTUAL_BYTES_MAX },
      inTime(),
    ),
  ).toEqual({ virtualBytes: 2 ** 30 });
  for (const { digest } of [image, base])
    await verifyImage(join(TEST_STATE, "images", digest), digest, inTime());
  expect(await isOnDisk(image, "/etc/greeting")).toBe(true);
  for (const path of ["/root/.ssh/authorized_keys", "/etc/dropbear/host_key", "/etc/hostname"])
    expect(await isOnDisk(image, path)).toBe(false);
  await expectNothingLeft();

  await using job = await startJob({
    image: "micro-derived",
    steps: [
      { name: "has", run: "cat /etc/greeting /root/mine" },
      { name: "traces", run: `ls -d ${TRACES.join(" ")} 2>/dev/null; true` },
      { name: "emptied", run: "cat /etc/machine-id /var/log/messages" },
      // Its own key alone, and no folder of the runner's from before.
      { name: "keys", run: "wc -l </root/.ssh/authorized_keys; ls -A /var/tmp" },
    ],
  });
  const ran = await job.done;
  expect(ran.exitCode, ran.stderr).toBe(0);
  expect(await ran.read("steps/01-has.log")).toBe("hello from another machine\nsecret\n");
  expect(await ran.read("steps/02-traces.log")).toBe("");
  expect(await ran.read("steps/03-emptied.log")).toBe("");
  expect(await ran.read("steps/04-keys.log")).toBe("1\n");
  await expectNothingLeft();
}, 600_000);

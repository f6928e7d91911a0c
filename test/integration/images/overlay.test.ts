import { execFile } from "node:child_process";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { writeOverlay } from "#host/images/store/overlay.ts";
import type { Image } from "#host/runner/ports.ts";
import { PAPER_IMAGE } from "#test/kit/orders.ts";
import { scratchFolder } from "#test/kit/scratch.ts";

const call = promisify(execFile);

/** An image with a disk of 64 MiB whose byte at 1 MiB is 0x5a. */
async function baseImage(folder: string, format: "qcow2" | "raw"): Promise<Image> {
  const path = join(folder, "base");
  await call("qemu-img", ["create", "-q", "-f", format, path, "64M"]);
  await call("qemu-io", ["-f", format, "-c", "write -P 0x5a 1M 64k", path]);
  return { ...PAPER_IMAGE, disk: { path, format, virtualMiB: 64 } };
}

test.each(["qcow2", "raw"] as const)("QEMU takes our overlay over a %s base", async (format) => {
  await using folder = await scratchFolder();
  const image = await baseImage(folder.path, format);
  const path = join(folder.path, "overlay");
  await writeOverlay(image, path, 5000);
  expect((await stat(path)).mode & 0o777).toBe(0o600);

  await call("qemu-img", ["check", "-q", "-f", "qcow2", path]);
  const { stdout } = await call("qemu-img", ["info", "--output=json", "-f", "qcow2", path]);
  expect(JSON.parse(stdout)).toMatchObject({
    "virtual-size": 5000 * 2 ** 20,
    "cluster-size": 128 * 1024,
    "backing-filename": image.disk.path,
    "backing-filename-format": format,
    "format-specific": { data: { compat: "1.1", "extended-l2": true, corrupt: false } },
  });

  // Both ends of the disk, a write inside one of the image's clusters, and what lies beside it.
  const reads = ["read -P 0x11 0 4k", "read -P 0x22 4999M 1M", "read -P 0x33 1028k 4k"];
  const writes = ["write -P 0x11 0 4k", "write -P 0x22 4999M 1M", "write -P 0x33 1028k 4k"];
  const throughs = ["read -P 0x5a 1M 4k", "read -P 0x5a 1032k 4k", "read -P 0 2M 64k"];
  const commands = [...writes, ...reads, ...throughs].flatMap((command) => ["-c", command]);
  const { stdout: said } = await call("qemu-io", ["-f", "qcow2", ...commands, path]);
  expect(said).not.toMatch(/verification failed|error/i);
  await call("qemu-img", ["check", "-q", "-f", "qcow2", path]);
});

test("a file that is there already is not overwritten", async () => {
  await using folder = await scratchFolder();
  const image = await baseImage(folder.path, "raw");
  const path = join(folder.path, "overlay");
  await writeOverlay(image, path, undefined);
  await expect(writeOverlay(image, path, undefined)).rejects.toThrow("EEXIST");
});

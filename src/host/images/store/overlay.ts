import { open, rm } from "node:fs/promises";
import type { Image } from "#host/runner/ports.ts";
import { Fault } from "#job/fault.ts";
import { encodeOverlay } from "./qcow2-overlay.ts";

const MIB = 1024 * 1024;

/** `Images.overlay`: see there. The file is mode 0600; libvirt gives it to QEMU's user when the machine starts. */
export async function writeOverlay(
  image: Image,
  path: string,
  diskMiB: number | undefined,
): Promise<void> {
  const virtualMiB = diskMiB ?? image.disk.virtualMiB;
  if (virtualMiB < image.disk.virtualMiB)
    throw new Fault(
      "disk-too-small",
      `the job asks for a disk of ${virtualMiB} MiB, but image ${image.name} has ${image.disk.virtualMiB} MiB`,
    );
  const { parts, fileBytes } = encodeOverlay({
    backing: { path: image.disk.path, format: image.disk.format },
    virtualBytes: virtualMiB * MIB,
  });
  const handle = await open(path, "wx", 0o600);
  try {
    for (const { bytes, position } of parts) await handle.write(bytes, 0, bytes.length, position);
    await handle.truncate(fileBytes);
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  } finally {
    await handle.close();
  }
}

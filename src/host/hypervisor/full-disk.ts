import { statfs } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";

/** How long a paused guest may wait for somebody to free space: shorter than its SSH connection is given up after. */
const PATIENCE_MS = 45_000;
const LOOK_AGAIN_MS = 1_000;

/** Less than this and the guest would pause again at once. */
const FREE_MIB_MIN = 64;

/**
 * Waits until the file system of `folder` has space again. QEMU pauses a guest whose write found none (`werror=enospc`,
 * its default) and loses nothing, so that it can go on afterwards. False when nobody freed any in time, or on abort.
 */
export async function spaceReturns(folder: string, signal: AbortSignal): Promise<boolean> {
  const endMs = performance.now() + PATIENCE_MS;
  try {
    while (performance.now() < endMs) {
      const { bavail, bsize } = await statfs(folder);
      if ((bavail * bsize) / 2 ** 20 >= FREE_MIB_MIN) return true;
      await delay(LOOK_AGAIN_MS, undefined, { signal });
    }
  } catch {
    // Aborted: the machine is on its way out. A folder that is gone says the same.
  }
  return false;
}

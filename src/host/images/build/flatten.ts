import { checkOverlay } from "#host/images/inspect/overlay-header.ts";
import type { Image } from "#host/runner/ports.ts";
import { Fault } from "#job/fault.ts";
import { SpawnError } from "#lib/spawn.ts";
import { runConfined } from "./confined.ts";

const FLATTEN_TIMEOUT_MS = 1_800_000;
const STAGE = "flatten";

/**
 * Makes one file without a backing file of a stopped machine's overlay and the image below it. What qemu-img is given here was
 * written by us and by QEMU: a guest writes what is in clusters and never which file or format they belong to. It is held to
 * that all the same: the header must name exactly the image's disk, with its format, and no other file; the overlay's format is said and
 * not guessed; and qemu-img runs without a network. Throws image-build-failed, host-disk-full, SpawnError when there is no qemu-img.
 */
export async function flatten(
  { overlay, base, target }: { overlay: string; base: Image; target: string },
  signal: AbortSignal,
): Promise<void> {
  const refused = await checkOverlay(overlay, base.disk);
  if (refused !== undefined)
    throw new Fault("image-build-failed", `the disk of the stopped machine ${refused}`, {
      stage: STAGE,
    });
  const argv = ["qemu-img", "convert", "-q", "-f", "qcow2", "-O", "qcow2", overlay, target];
  try {
    await runConfined(argv, { timeoutMs: FLATTEN_TIMEOUT_MS, signal, isOffline: true });
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof SpawnError)) throw error;
    const isFull = error.stderrTail.includes("No space left on device");
    throw new Fault(
      isFull ? "host-disk-full" : "image-build-failed",
      isFull ? "no space left for the new image" : error.message,
      { cause: error, stage: STAGE },
    );
  }
}

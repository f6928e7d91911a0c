import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Image, Images } from "#host/runner/ports.ts";
import { makeParts, type Size, startBare } from "./bare-machine.ts";
import { serverOf } from "./bare-server.ts";
import { firstAnswerMs } from "./probe.ts";
import { cpuSeconds } from "./process-cost.ts";
import { closeStock, connectStock, drainStock } from "./stock-ssh2.ts";
import type { Tap } from "./tap.ts";

/** What one start of QEMU by hand was like, in milliseconds from the spawn to the command's end. */
export type BareRun = { readonly ms: number; readonly qemuCpuSeconds: number };

export type BareOrder = {
  readonly folder: string;
  readonly image: Image;
  readonly images: Images;
  readonly size: Size;
  readonly tap: Tap;
  readonly command: string;
};

const NO_SIZES = { bulkMiB: 0, files: 0, fileBytes: 0, lines: 0 };

/**
 * The floor: QEMU is started with everything made beforehand, its SSH port is tried every 5 ms, and the command runs over
 * stock ssh2. No libvirt, no check of a host key, no runner, no log file.
 */
export async function bareRun(order: BareOrder, signal: AbortSignal): Promise<BareRun> {
  const folder = join(order.folder, "bare");
  await mkdir(folder);
  try {
    const parts = await makeParts(folder, order, signal);
    const server = await serverOf(parts, order.tap.address, NO_SIZES);
    const spawnedAtMs = performance.now();
    await using qemu = startBare(parts, order.size, order.tap);
    await Promise.race([
      firstAnswerMs(server.address, server.port, signal),
      qemu.ended.then((code) => {
        throw new Error(`QEMU ended with exit status ${code}`);
      }),
    ]);
    const client = await connectStock(server);
    await drainStock(client, order.command);
    const ms = performance.now() - spawnedAtMs;
    const qemuCpuSeconds = (await cpuSeconds(qemu.process.pid ?? 0)) ?? Number.NaN;
    await closeStock(client);
    return { ms, qemuCpuSeconds };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Image, MachineOrder } from "#host/runner/ports.ts";
import type { StateFolder } from "#host/runner/state-folder.ts";
import { machineName } from "#job/machine-name.ts";

/** An image that exists nowhere but in its description. */
export const PAPER_IMAGE: Image = {
  name: "paper",
  version: "1",
  digest: "a".repeat(64),
  architecture: "x86_64",
  disk: { path: "/images/paper/disk.qcow2", format: "qcow2", virtualMiB: 64 },
  boot: {
    kind: "kernel",
    kernel: "/images/paper/kernel",
    initrd: "/images/paper/initrd",
    commandLine: "console=ttyS0 panic=0",
  },
  seed: "nocloud",
  login: "root",
  memoryMiBMin: 256,
  readiness: { consoleSeconds: 5, sshSeconds: 10, settledSeconds: 20 },
};

/** An order for a machine of a paper image, with its folder made. */
export async function machineOrder(
  state: StateFolder,
  job: string,
  slot = 0,
): Promise<MachineOrder> {
  const identity = { installation: state.installation, job, attempt: 1 };
  const name = machineName(identity);
  const folder = join(state.path, "machines", name);
  await mkdir(folder, { recursive: true });
  return {
    identity,
    name,
    folder,
    slot,
    cpus: 1,
    memoryMiB: 256,
    image: PAPER_IMAGE,
    diskPath: join(folder, "disk.qcow2"),
    seedPath: join(folder, "seed.iso"),
    acceleration: "tcg",
  };
}

import { join } from "node:path";
import { type KeyPair, makeKeyPair } from "#host/guest/keys.ts";
import { writeSeed } from "#host/guest/seed.ts";
import { GUEST_MAC } from "#host/hypervisor/slot-network.ts";
import type { Acceleration, Image, Images } from "#host/runner/ports.ts";
import { kernelBoot } from "#test/kit/kernel-boot.ts";
import { Child } from "./child.ts";
import type { Tap } from "./tap.ts";

/** What a machine is made of, made beforehand, so that only QEMU's own time is measured. */
export type Parts = {
  readonly folder: string;
  readonly image: Image;
  readonly disk: string;
  readonly seed: string;
  readonly keys: { readonly client: KeyPair; readonly host: KeyPair };
};

export type Size = {
  readonly cpus: number;
  readonly memoryMiB: number;
  readonly acceleration: Acceleration;
};

/** Makes keys, seed and disk of one machine. */
export async function makeParts(
  folder: string,
  { image, images }: { image: Image; images: Images },
  signal: AbortSignal,
): Promise<Parts> {
  const keys = { client: makeKeyPair(), host: makeKeyPair() };
  const disk = join(folder, "disk.qcow2");
  const [seed] = await Promise.all([
    writeSeed(
      folder,
      {
        kind: image.seed,
        name: "bench",
        login: image.login,
        clientPublicKey: keys.client.publicKey,
        hostPrivateKey: keys.host.privateKey,
        hostPublicKey: keys.host.publicKey,
        curfewSeconds: undefined,
      },
      signal,
    ),
    images.overlay(image, disk, undefined, signal),
  ]);
  return { folder, image, disk, seed, keys };
}

/** Starts QEMU by hand: the same image and the same devices as libvirt is asked for, and nothing in between. */
export function startBare(parts: Parts, size: Size, { tap }: Tap): Child {
  return new Child(`qemu-system-${parts.image.architecture}`, qemuArguments(parts, size, tap), {
    detached: true,
    stdio: ["ignore", "ignore", "inherit"],
    // Nobody keeps its disk, and it announces the end that it is asked for.
    stopSignal: "SIGKILL",
  });
}

function qemuArguments(
  { image, disk, seed, folder }: Parts,
  { cpus, memoryMiB, acceleration }: Size,
  tap: string,
): string[] {
  const { kernel, initrd, commandLine } = kernelBoot(image);
  return [
    ["-nodefaults", "-no-user-config", "-display", "none"],
    ["-machine", "q35,usb=off", "-accel", acceleration],
    ["-cpu", acceleration === "kvm" ? "host" : "max"],
    ["-m", `${memoryMiB}M`, "-smp", `${cpus}`],
    ["-kernel", kernel, "-initrd", initrd],
    ["-append", commandLine],
    ["-drive", `file=${disk},format=qcow2,if=none,id=root,cache=unsafe,discard=unmap`],
    ["-device", "virtio-blk-pci,drive=root"],
    ["-drive", `file=${seed},format=raw,if=none,id=seed,cache=unsafe,readonly=on`],
    ["-device", "virtio-blk-pci,drive=seed"],
    ["-netdev", `tap,id=net,ifname=${tap},script=no,downscript=no`],
    ["-device", `virtio-net-pci,netdev=net,mac=${GUEST_MAC},romfile=`],
    ["-object", "rng-random,id=rng,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=rng"],
    ["-serial", `file:${join(folder, "console.log")}`],
    ["-device", "VGA", "-device", "pvpanic"],
  ].flat();
}

import { makeKeyPair } from "#host/guest/keys.ts";
import { writeSeed } from "#host/guest/seed.ts";
import type { MachineOrder } from "#host/runner/ports.ts";
import { machineOrder } from "./orders.ts";
import { realImages } from "./real-images.ts";

/** An order for a machine of the small image, with folder, disk and seed, for an attempt that is new each time. */
export async function realOrder(
  folder: string,
  installation: string,
  slot: number,
): Promise<MachineOrder> {
  const images = realImages();
  const signal = AbortSignal.timeout(120_000);
  const image = await images.resolve("micro", () => undefined, signal);
  const paper = await machineOrder(
    { path: folder, installation },
    `job-${process.hrtime.bigint()}`,
    slot,
  );
  await images.overlay(image, paper.diskPath, undefined, signal);
  const [host, client] = [makeKeyPair(), makeKeyPair()];
  const seedPath = await writeSeed(
    paper.folder,
    {
      kind: image.seed,
      name: paper.name,
      login: image.login,
      clientPublicKey: client.publicKey,
      hostPrivateKey: host.privateKey,
      hostPublicKey: host.publicKey,
      curfewSeconds: undefined,
    },
    signal,
  );
  return { ...paper, image, seedPath };
}

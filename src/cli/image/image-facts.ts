import type { NamedImage } from "./pick-image.ts";
import { usersOf } from "./pick-image.ts";

/** An image as `--json` prints it. */
export function imageFacts({ image, name, version, means }: NamedImage) {
  const { digest, manifest, bytes, origin, smoke, arrivedMs, usedMs } = image;
  return {
    name,
    version,
    digest,
    means,
    bytes,
    ...(manifest === undefined && { damaged: "its manifest cannot be read" }),
    ...(manifest && {
      architecture: manifest.architecture,
      boot: manifest.boot.kind,
      seed: manifest.seed,
      login: manifest.login,
      memoryMiBMin: manifest.memoryMiBMin,
      readiness: manifest.readiness,
      format: manifest.disk.format,
      virtualMiB: manifest.disk.virtualMiB,
    }),
    ...(origin && { origin }),
    ...(smoke && { smoke }),
    arrived: new Date(arrivedMs).toISOString(),
    used: new Date(usedMs).toISOString(),
    inUseBy: usersOf(image),
  };
}

import type { ImagePlaces } from "./image-places.ts";

/** What no image from elsewhere may exceed, whatever its source says. */
export type ImageLimits = {
  /** One file as it is sent. */
  readonly downloadMiB: number;
  /** A disk as its machine sees it. */
  readonly diskMiB: number;
};

const DEFAULT_LIMITS: ImageLimits = { downloadMiB: 20 * 1024, diskMiB: 128 * 1024 };

/** The limits of a host. */
export function limitsOf({ limits = DEFAULT_LIMITS }: ImagePlaces): ImageLimits {
  return limits;
}

/** How long a disk's file may be, in bytes: what a qcow2 file has beside the disk's content is little. */
export function fileBytesMax({ diskMiB }: ImageLimits): number {
  return 2 * diskMiB * 2 ** 20;
}

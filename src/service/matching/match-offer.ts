import { MEMORY_MIB } from "#job/job-file-schema.ts";
import type { LeaseRequest, Room } from "#protocol/lease.ts";
import type { Requirement } from "./requirement.ts";

/** What a host says of itself, as far as it decides which jobs it may have. */
export type Offer = Pick<LeaseRequest, "host" | "free" | "capacity" | "images" | "labels">;

type OfferedImage = LeaseRequest["images"][number];

/** What is in the way of a job on a host; the first that is found. */
export type Obstacle = "no-image" | "no-labels" | "too-large" | "busy";

/**
 * The image that a host would run a job from, or what is in the way. Of several that fit, the first that the host has,
 * else the first that it could make. Whether the job is to avoid the host is not looked at.
 */
export function matchOffer(requirement: Requirement, offer: Offer): OfferedImage | Obstacle {
  const image = imageFor(requirement, offer);
  if (image === undefined) return "no-image";
  if (!requirement.labels.every((label) => offer.labels.includes(label))) return "no-labels";
  if (!hasRoom(requirement, image, offer.capacity)) return "too-large";
  return hasRoom(requirement, image, offer.free) ? image : "busy";
}

function imageFor({ image }: Requirement, offer: Offer): OfferedImage | undefined {
  let toMake: OfferedImage | undefined;
  for (const offered of offer.images) {
    if (offered.name !== image.name) continue;
    if (image.version !== undefined && offered.version !== image.version) continue;
    if (image.digest !== undefined && offered.digest !== image.digest) continue;
    if (offered.digest !== undefined) return offered;
    toMake ??= offered;
  }
  return toMake;
}

function hasRoom(
  { cpus, memoryMiB, diskMiB }: Requirement,
  { memoryMiBMin = MEMORY_MIB.min }: OfferedImage,
  room: Room,
): boolean {
  return (
    room.slots >= 1 &&
    room.cpus >= cpus &&
    room.memoryMiB >= (memoryMiB ?? memoryMiBMin) &&
    room.diskMiB >= (diskMiB ?? 0)
  );
}

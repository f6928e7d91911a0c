import type { Waiting } from "#protocol/job-view.ts";
import { matchOffer, type Obstacle, type Offer } from "./match-offer.ts";
import type { Requirement } from "./requirement.ts";

/** A host as far as waiting jobs care. */
export type KnownHost = { readonly offer: Offer; readonly isAway: boolean };

/** Many labels make a long sentence. */
const SAYS_CHARACTERS_MAX = 1000;

/** Obstacles from the farthest to the nearest: of several hosts the nearest one is told. */
const FAR_TO_NEAR = ["no-image", "no-labels", "too-large", "busy"] as const;

/** Why a queued job waits. `position` is its place among jobs of its class, from 1. */
export function whyWaiting(
  requirement: Requirement,
  hosts: readonly KnownHost[],
  position: number,
): Waiting {
  const found = hosts.map(({ offer, isAway }) => ({
    isAway,
    isAvoided: requirement.avoid.includes(offer.host),
    obstacle: obstacleOf(requirement, offer),
  }));
  const reason = reasonOf(found);
  return { reason, says: SAYS[reason](requirement).slice(0, SAYS_CHARACTERS_MAX), position };
}

type Found = {
  readonly isAway: boolean;
  readonly isAvoided: boolean;
  readonly obstacle: Obstacle | undefined;
};

function reasonOf(found: readonly Found[]): Waiting["reason"] {
  const able = found.filter(({ obstacle }) => obstacle === "busy" || obstacle === undefined);
  if (able.length === 0) {
    const obstacles = found.map(({ obstacle }) => obstacle);
    return FAR_TO_NEAR.findLast((obstacle) => obstacles.includes(obstacle)) ?? "no-hosts";
  }
  const here = able.filter(({ isAway }) => !isAway);
  if (here.length === 0) return "hosts-away";
  // A host to avoid counts only when there is no other.
  const wanted = here.filter(({ isAvoided }) => !isAvoided);
  const last = wanted.length > 0 ? wanted : here;
  return last.every(({ obstacle }) => obstacle === "busy") ? "busy" : "next";
}

function obstacleOf(requirement: Requirement, offer: Offer): Obstacle | undefined {
  const found = matchOffer(requirement, offer);
  return typeof found === "string" ? found : undefined;
}

const SAYS: Record<Waiting["reason"], (requirement: Requirement) => string> = {
  "no-hosts": () => "no host has ever asked for work",
  "no-image": ({ image }) => `no host has image ${imageText(image)}`,
  "no-labels": ({ image, labels }) =>
    `no host with image ${imageText(image)} has all of the labels ${labels.join(", ")}`,
  "too-large": ({ cpus, memoryMiB, diskMiB }) =>
    `no host with this image and these labels is large enough for ${roomText(cpus, memoryMiB, diskMiB)}`,
  "hosts-away": () => "all hosts that could take it are drained or lost",
  busy: () => "all hosts that could take it are busy",
  next: () => "a host has room for it and gets it when it asks for work and nothing goes before it",
};

function imageText({ name, version, digest }: Requirement["image"]): string {
  if (digest !== undefined) return `${name}@sha256:${digest.slice(0, 12)}…`;
  return version === undefined ? name : `${name}:${version}`;
}

function roomText(
  cpus: number,
  memoryMiB: number | undefined,
  diskMiB: number | undefined,
): string {
  const parts = [`${cpus} CPUs`];
  if (memoryMiB !== undefined) parts.push(`${memoryMiB} MiB of memory`);
  if (diskMiB !== undefined) parts.push(`${diskMiB} MiB of disk`);
  return parts.join(", ");
}

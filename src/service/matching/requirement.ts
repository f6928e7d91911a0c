import type { ImageReference } from "#job/image-reference.ts";

/**
 * What a job needs of a host: everything that decides whether a host may have it. Jobs with the same requirement are one
 * class, and only the first of a class has to be looked at: see `store/queue.ts`.
 */
export type Requirement = {
  /** As the job names it, or pinned: then with its digest. */
  readonly image: ImageReference;
  readonly cpus: number;
  /** Undefined: as much as the image asks for. */
  readonly memoryMiB: number | undefined;
  /** Undefined: what an overlay of the image's own disk may grow to is the host's affair. */
  readonly diskMiB: number | undefined;
  /** Sorted. */
  readonly labels: readonly string[];
  /** Hosts where the job broke for a reason of that host's; taken only when no other can. Sorted. */
  readonly avoid: readonly string[];
};

/** The same text for the same requirement, and for no other. */
export function requirementKey(requirement: Requirement): string {
  const { image, cpus, memoryMiB, diskMiB, labels, avoid } = requirement;
  return JSON.stringify([
    image.name,
    image.version ?? null,
    image.digest ?? null,
    cpus,
    memoryMiB ?? null,
    diskMiB ?? null,
    labels,
    avoid,
  ]);
}

/** The requirement that `requirementKey` made the text of. */
export function parseRequirementKey(key: string): Requirement {
  const [name, version, digest, cpus, memoryMiB, diskMiB, labels, avoid] = JSON.parse(key) as [
    string,
    string | null,
    string | null,
    number,
    number | null,
    number | null,
    string[],
    string[],
  ];
  return {
    image: {
      name,
      ...(version === null ? {} : { version }),
      ...(digest === null ? {} : { digest }),
    },
    cpus,
    memoryMiB: memoryMiB ?? undefined,
    diskMiB: diskMiB ?? undefined,
    labels,
    avoid,
  };
}

import type { Room } from "#protocol/lease.ts";
import type { DrainFlag } from "./ports.ts";
import type { Claim } from "./room.ts";

/** The host as it is when a machine of its own is wanted. */
export type HostNow = {
  readonly room: () => Promise<{ readonly free: Room }>;
  /** Why it could run no machine at all. */
  readonly trouble: () => string | undefined;
  readonly drain: DrainFlag;
};

/** Nothing was done, for lack of room or of a host that works. */
export type NoRoom = { readonly kind: "skipped"; readonly why: string };

/** The room that machines of the daemon's own take, for health checks and smoke boots: under the host's admission, counted like attempts. */
export class OwnRoom {
  readonly #now: HostNow;
  readonly #onRoom: () => void;
  readonly #claims = new Set<Claim>();

  /** `onRoom` is called when room was taken or given back: what was offered before is no longer true. */
  constructor(now: HostNow, onRoom: () => void) {
    this.#now = now;
    this.#onRoom = onRoom;
  }

  /** What machines of the daemon's own take of the host now. */
  get claims(): readonly Claim[] {
    return [...this.#claims];
  }

  /** Does `work` while the room for it is taken, or says why nothing was done. Throws what `work` throws. */
  async during<T>(claim: Claim, work: () => Promise<T>): Promise<T | NoRoom> {
    const why = this.#whyNot((await this.#now.room()).free, claim);
    if (why !== undefined) return { kind: "skipped", why };
    this.#claims.add(claim);
    this.#onRoom();
    try {
      return await work();
    } finally {
      this.#claims.delete(claim);
      this.#onRoom();
    }
  }

  #whyNot(free: Room, { cpus, memoryMiB }: Claim): string | undefined {
    if (this.#now.drain.drained !== undefined) return "the host is drained";
    const trouble = this.#now.trouble();
    if (trouble !== undefined) return `the host is not ready: ${trouble}`;
    const hasRoom = free.slots > 0 && free.cpus >= cpus && free.memoryMiB >= memoryMiB;
    return hasRoom ? undefined : "the host is full";
  }
}

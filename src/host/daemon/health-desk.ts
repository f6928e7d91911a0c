import { Fault } from "#job/fault.ts";
import type { LeaseRequest, Room } from "#protocol/lease.ts";
import { checkHealth, type HealthBench, type HealthOutcome } from "./health-check.ts";
import type { DrainFlag } from "./ports.ts";
import type { Claim } from "./room.ts";

/** What health checks need to know of the host they are made on. */
export type HealthParts = HealthBench & {
  readonly images: () => Promise<LeaseRequest["images"]>;
  readonly drain: DrainFlag;
};

/** The host as it is when a check is due. */
export type HealthNow = {
  readonly room: () => Promise<{ readonly free: Room }>;
  /** Why it could run no machine at all. */
  readonly trouble: () => string | undefined;
};

/** How checks went so far. */
export type HealthCounts = Readonly<Record<HealthOutcome["kind"], number>>;

/** Health checks under the host's admission: one at a time, where a job's attempt could run, and counted like one. */
export class HealthDesk {
  readonly #parts: HealthParts;
  readonly #now: HealthNow;
  readonly #onRoom: () => void;
  readonly #counts = { passed: 0, failed: 0, skipped: 0 };
  #claim: Claim | undefined;

  /** `onRoom` is called when a check took or gave back its room. */
  constructor(parts: HealthParts, now: HealthNow, onRoom: () => void) {
    this.#parts = parts;
    this.#now = now;
    this.#onRoom = onRoom;
  }

  /** What the check that runs takes of the host. */
  get claims(): readonly Claim[] {
    return this.#claim === undefined ? [] : [this.#claim];
  }

  get counts(): HealthCounts {
    return this.#counts;
  }

  /** Makes a check, unless something stands in its way that says nothing of the host's health. Never throws. */
  async check(signal: AbortSignal): Promise<HealthOutcome> {
    const startedMs = performance.now();
    const outcome = await this.#tryCheck(signal).catch((error: unknown): HealthOutcome => {
      // A disk that is full, a store of images that cannot be read: an attempt would have met it, too.
      const { code, message } = Fault.from(error);
      const durationMs = Math.round(performance.now() - startedMs);
      return { kind: "failed", durationMs, fault: { code, message } };
    });
    this.#counts[outcome.kind] += 1;
    return outcome;
  }

  async #tryCheck(signal: AbortSignal): Promise<HealthOutcome> {
    const { images, healthImage } = this.#parts;
    const image = (await images()).find(({ name }) => name === healthImage);
    const claim = { cpus: 1, memoryMiB: image?.memoryMiBMin ?? 0, diskMiB: 0 };
    const why = this.#whyNot(image !== undefined, (await this.#now.room()).free, claim);
    if (why !== undefined) return { kind: "skipped", why };
    this.#claim = claim;
    // What was offered before has one machine too many.
    this.#onRoom();
    try {
      return await checkHealth(this.#parts, signal);
    } finally {
      this.#claim = undefined;
      this.#onRoom();
    }
  }

  #whyNot(hasImage: boolean, free: Room, { cpus, memoryMiB }: Claim): string | undefined {
    const { drain, healthImage } = this.#parts;
    if (drain.drained !== undefined) return "the host is drained";
    const trouble = this.#now.trouble();
    if (trouble !== undefined) return `the host is not ready: ${trouble}`;
    if (this.#claim !== undefined) return "another one runs";
    if (!hasImage)
      return `image ${healthImage} is not on this host and cannot be built by its daemon; try 'testbed image build ${healthImage}'`;
    const hasRoom = free.slots > 0 && free.cpus >= cpus && free.memoryMiB >= memoryMiB;
    return hasRoom ? undefined : "the host is full";
  }
}

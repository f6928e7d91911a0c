import { Fault } from "#job/fault.ts";
import type { LeaseRequest } from "#protocol/lease.ts";
import { checkHealth, type HealthBench, type HealthOutcome } from "./health-check.ts";
import type { OwnRoom } from "./own-room.ts";

/** What health checks need to know of the host they are made on. */
export type HealthParts = HealthBench & {
  readonly images: () => Promise<LeaseRequest["images"]>;
};

/** How checks went so far. */
export type HealthCounts = Readonly<Record<HealthOutcome["kind"], number>>;

/** Health checks under the host's admission: one at a time, where a job's attempt could run. */
export class HealthDesk {
  readonly #parts: HealthParts;
  readonly #room: OwnRoom;
  readonly #counts = { passed: 0, failed: 0, skipped: 0 };
  #isBusy = false;

  constructor(parts: HealthParts, room: OwnRoom) {
    this.#parts = parts;
    this.#room = room;
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
    if (this.#isBusy) return { kind: "skipped", why: "another one runs" };
    const image = (await images()).find(({ name }) => name === healthImage);
    if (image === undefined) {
      const why = `image ${healthImage} is not on this host and cannot be built by its daemon; try 'testbed image build ${healthImage}'`;
      return { kind: "skipped", why };
    }
    const claim = { cpus: 1, memoryMiB: image.memoryMiBMin ?? 0, diskMiB: 0 };
    this.#isBusy = true;
    try {
      return await this.#room.during(claim, () => checkHealth(this.#parts, signal));
    } finally {
      this.#isBusy = false;
    }
  }
}

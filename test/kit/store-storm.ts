import type { Grant, LeaseRequest } from "#protocol/lease.ts";
import type { VerdictReport } from "#protocol/verdict.ts";
import type { Settled, Store } from "#service/ports.ts";
import type { FakeClock } from "./fake-clock.ts";
import {
  asking,
  broken,
  DIGEST,
  job,
  OTHER_DIGEST,
  order,
  renewal,
  report,
} from "./lease-messages.ts";

type Lease = Pick<Grant, "lease" | "jobId" | "attempt"> & { readonly host: string };

/** What the storm was told, to be compared with what the store says later. */
export type Told = {
  readonly jobs: Map<string, { readonly attemptsMax: number }>;
  readonly leases: Map<string, Lease>;
  /** Jobs that left after their time. */
  readonly retired: Set<string>;
  /** The first report that was taken for a lease. */
  readonly verdicts: Map<string, VerdictReport["verdict"]["kind"]>;
  readonly fenced: Set<string>;
};

const HOSTS = ["lab-1", "lab-2", "lab-3", "lab-4", "lab-5"] as const;
const PHASES = ["preparing", "booting", "connecting", "running", "collecting", "settled"] as const;
const AGES = {
  fileSeconds: { passed: 100, failed: 200, "timed-out": 200, cancelled: 200, broken: 300 },
  jobSeconds: 400,
  inputSeconds: 400,
  partSeconds: 400,
  hostSeconds: 400,
  tokenSeconds: 400,
} as const;

const VERDICTS = [
  report({ kind: "passed" }),
  report({ kind: "failed", why: "make" }),
  broken("anywhere"),
  broken("elsewhere"),
  broken("elsewhere"),
  broken("anywhere", "host-restarted"),
  broken("never"),
] as const;

/**
 * Many hosts and clients that do everything at random: also late, twice, in the wrong order, and with leases of each other.
 * The service restarts now and then. The same random numbers give the same storm.
 */
export class StoreStorm {
  readonly told: Told = {
    jobs: new Map(),
    leases: new Map(),
    retired: new Set(),
    verdicts: new Map(),
    fenced: new Set(),
  };
  readonly #random: () => number;
  readonly #clock: FakeClock;
  readonly #requests: LeaseRequest[] = [];
  readonly #jobOfKey = new Map<number, string>();
  #keys = 0;

  constructor(random: () => number, clock: FakeClock) {
    this.#random = random;
    this.#clock = clock;
  }

  /** Does one thing; returns true when the service is to be restarted. */
  async step(store: Store): Promise<boolean> {
    const dice = this.#random();
    if (dice < 0.2) await this.#submit(store);
    else if (dice < 0.45) await this.#take(store);
    else if (dice < 0.65) await this.#renew(store);
    else if (dice < 0.82) await this.#settle(store);
    else if (dice < 0.86) await this.#cancel(store);
    else if (dice < 0.89) await this.#drain(store);
    else if (dice < 0.91) await this.#retire(store);
    else if (dice < 0.98) {
      this.#clock.advance(this.#random() * 60);
      await store.expire();
    } else return true;
    return false;
  }

  /** Brings every job to its end. */
  async calm(store: Store): Promise<void> {
    for (const host of HOSTS) await store.setDrain(host, undefined);
    for (let rounds = 0; rounds < 1000; rounds += 1) {
      for (const lease of this.told.leases.values())
        await this.#report(store, lease, report({ kind: "passed" }));
      // A host that nobody else is: it may take what broke on all others, in all images that were pinned.
      const host = `calm-${rounds}`;
      if ((await this.#ask(store, this.#offer(host, true))) === undefined) return;
    }
    throw new Error("jobs remain");
  }

  async #submit(store: Store): Promise<void> {
    const isRepeat = this.#random() < 0.2 && this.#keys > 0;
    const key = isRepeat ? this.#below(this.#keys) : this.#keys;
    const attemptsMax = 1 + (key % 4);
    const answer = await store.submit(
      order(
        {
          job: job({ attempts: attemptsMax, resources: { cpus: 1 + (key % 3) } }),
          priority: key % 3,
          ...(key % 5 === 0 ? { labels: ["gpu"] } : {}),
          ...(key % 7 === 0 ? { queueLimitSeconds: 50 } : {}),
        },
        { idempotencyKey: `key-${key}` },
      ),
    );
    if (answer.kind !== "queued" && answer.kind !== "known") throw new Error(answer.kind);
    const isKnown = this.told.jobs.has(answer.id);
    // A key is remembered as long as its job.
    const isExpected = isRepeat && !this.told.retired.has(this.#jobOfKey.get(key) ?? "");
    if (isKnown !== isExpected || isKnown !== (answer.kind === "known"))
      throw new Error(`key ${key} is ${answer.kind}`);
    if (isKnown) return;
    if (!isRepeat) this.#keys += 1;
    this.#jobOfKey.set(key, answer.id);
    this.told.jobs.set(answer.id, { attemptsMax });
  }

  async #take(store: Store): Promise<void> {
    const isRepeat = this.#random() < 0.2 && this.#requests.length > 0;
    const request = isRepeat ? this.#pick(this.#requests) : this.#offer(this.#pick(HOSTS), false);
    await this.#ask(store, request);
  }

  async #ask(store: Store, request: LeaseRequest): Promise<Grant | undefined> {
    this.#requests.push(request);
    const grant = await store.take(request);
    if (grant === undefined) return undefined;
    const { lease, jobId, attempt } = grant;
    if (!this.told.jobs.has(jobId))
      throw new Error(`a lease of job ${jobId}, which nobody submitted`);
    const before = this.told.leases.get(lease);
    if (before !== undefined && (before.host !== request.host || before.attempt !== attempt))
      throw new Error(`lease ${lease} was given to two`);
    this.told.leases.set(lease, { lease, jobId, attempt, host: request.host });
    return grant;
  }

  #offer(host: string, isLarge: boolean): LeaseRequest {
    const images = [
      { name: "micro", version: "1", ...(this.#random() < 0.5 ? { digest: DIGEST } : {}) },
      { name: "micro", version: "2", digest: OTHER_DIGEST },
    ];
    return asking(host, {
      images: isLarge ? [...images, { name: "micro", version: "1", digest: DIGEST }] : images,
      labels: isLarge || host === "lab-1" ? ["gpu"] : [],
    });
  }

  async #renew(store: Store): Promise<void> {
    const lease = this.#anyLease();
    if (lease === undefined) return;
    const host = this.#random() < 0.05 ? this.#pick(HOSTS) : lease.host;
    const image = { name: "micro", version: "1", digest: DIGEST };
    const told = this.#random() < 0.3 ? { image } : {};
    const answer = await store.renew(lease.lease, host, {
      ...renewal(this.#pick(PHASES)),
      ...told,
    });
    if (host !== lease.host && answer.kind !== "unknown") throw new Error("somebody else's lease");
    if (answer.kind === "renewed" && this.#isOver(lease))
      throw new Error(`${lease.lease} came back`);
    if (answer.kind === "fenced" && host === lease.host) this.#fence(lease);
  }

  async #settle(store: Store): Promise<void> {
    const lease = this.#anyLease();
    if (lease !== undefined) await this.#report(store, lease, this.#pick(VERDICTS));
  }

  async #report(store: Store, lease: Lease, said: VerdictReport): Promise<Settled> {
    const answer = await store.settle(lease.lease, lease.host, said);
    if (answer.kind === "taken") {
      if (this.told.fenced.has(lease.lease) && !this.told.verdicts.has(lease.lease))
        throw new Error(`${lease.lease} was fenced and settled`);
      if (!this.told.verdicts.has(lease.lease))
        this.told.verdicts.set(lease.lease, said.verdict.kind);
    } else this.#fence(lease);
    return answer;
  }

  async #cancel(store: Store): Promise<void> {
    const ids = [...this.told.jobs.keys()];
    if (ids.length > 0) await store.cancel(this.#pick(ids), "ada changed her mind");
  }

  async #drain(store: Store): Promise<void> {
    await store.setDrain(this.#pick(HOSTS), this.#random() < 0.5 ? "new disk" : undefined);
  }

  /** What was settled some minutes ago leaves; nothing else may. */
  async #retire(store: Store): Promise<void> {
    const settled = new Set<string>();
    for (const id of this.told.jobs.keys())
      if ((await store.show(id))?.state === "settled") settled.add(id);
    await store.retire(AGES);
    for (const id of this.told.jobs.keys()) {
      if ((await store.show(id)) !== undefined) continue;
      if (!settled.has(id)) throw new Error(`job ${id} left before it was over`);
      this.told.jobs.delete(id);
      this.told.retired.add(id);
    }
  }

  #fence({ lease }: Lease): void {
    this.told.fenced.add(lease);
  }

  #isOver({ lease }: Lease): boolean {
    return this.told.fenced.has(lease) || this.told.verdicts.has(lease);
  }

  /** Mostly one of the last few, sometimes a very old one. */
  #anyLease(): Lease | undefined {
    const all = [...this.told.leases.values()];
    const some = this.#random() < 0.8 ? all.slice(-6) : all;
    return some.length === 0 ? undefined : this.#pick(some);
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  #pick<T>(list: readonly T[]): T {
    return list[this.#below(list.length)] as T;
  }
}

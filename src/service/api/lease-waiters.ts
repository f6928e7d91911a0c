import type { Grant, LeaseRequest } from "#protocol/lease.ts";
import { matchOffer } from "#service/matching/match-offer.ts";
import { type Requirement, requirementKey } from "#service/matching/requirement.ts";
import type { Store } from "#service/ports.ts";

/** Hosts that asked in vain before a requirement counts as met: of those that fit, some may be drained. */
const MISSES_MAX = 3;

/** A host that waits. */
class Waiter {
  readonly request: LeaseRequest;
  readonly #take: () => Promise<Grant | undefined>;
  readonly #answer = Promise.withResolvers<Grant | undefined>();
  #isEnding = false;
  #asking: Promise<unknown> = Promise.resolve();

  constructor(request: LeaseRequest, store: Store) {
    this.request = request;
    this.#take = () => store.take(request);
  }

  /** The lease, or undefined when there is none in the end. */
  get answer(): Promise<Grant | undefined> {
    return this.#answer.promise;
  }

  /** Asks the store; true when it gave a lease. */
  async wake(): Promise<boolean> {
    if (this.#isEnding) return false;
    const asked = this.#take();
    this.#asking = Promise.allSettled([this.#asking, asked]);
    try {
      const grant = await asked;
      if (grant !== undefined) this.#answer.resolve(grant);
      return grant !== undefined;
    } catch (error) {
      this.#answer.reject(error as Error);
      return false;
    }
  }

  /** Ends the wait without a lease, but for one that the store is about to give: 204 would be untrue, and the lease would age unheard. */
  readonly end = (): void => {
    this.#isEnding = true;
    void this.#asking.then(() => this.#answer.resolve(undefined));
  };
}

/**
 * Hosts that wait for a lease. A queued job wakes the best host that fits, and only when that one got a lease the next: waking
 * all would have a thousand hosts ask for each job.
 */
export class LeaseWaiters implements Disposable {
  readonly #store: Store;
  /** One for each host, who waited longest first. */
  readonly #waiters = new Map<string, Waiter>();
  /** Requirements that hosts are being woken for, and whether there came more since. */
  readonly #offered = new Map<string, boolean>();
  readonly #listening: Disposable;

  constructor(store: Store) {
    this.#store = store;
    this.#listening = store.onQueued((requirements) => {
      for (const requirement of requirements) void this.#offer(requirement);
    });
  }

  /** Hosts that wait now. */
  get size(): number {
    return this.#waiters.size;
  }

  /**
   * A lease for a host, or undefined when its time is up, the signal aborts or the same host asks anew. A host that is gone gets
   * nothing, unless the store has given it already: then it hears of it when it asks again with the same request id. The
   * signal is only made when the host has to wait: most do not on a busy day, and it costs as much as a search.
   */
  async take(request: LeaseRequest, signal: () => AbortSignal): Promise<Grant | undefined> {
    this.#waiters.get(request.host)?.end();
    const waiter = new Waiter(request, this.#store);
    // Before the first look, so that no job is queued between look and wait.
    this.#waiters.set(request.host, waiter);
    try {
      if (await waiter.wake()) return await waiter.answer;
      return await answerWithin(waiter, request.waitSeconds, signal);
    } finally {
      if (this.#waiters.get(request.host) === waiter) this.#waiters.delete(request.host);
    }
  }

  /** Has a host that waits ask again: it was given back to work. */
  wakeHost(host: string): void {
    void this.#waiters.get(host)?.wake();
  }

  [Symbol.dispose](): void {
    this.#listening[Symbol.dispose]();
    for (const waiter of this.#waiters.values()) waiter.end();
  }

  async #offer(requirement: Requirement): Promise<void> {
    const key = requirementKey(requirement);
    if (this.#offered.has(key)) {
      this.#offered.set(key, true);
      return;
    }
    try {
      do {
        this.#offered.set(key, false);
        await this.#wakeFitting(requirement);
      } while (this.#offered.get(key) === true);
    } finally {
      this.#offered.delete(key);
    }
  }

  async #wakeFitting(requirement: Requirement): Promise<void> {
    let misses = 0;
    for (const waiter of this.#fitting(requirement)) {
      const { host } = waiter.request;
      if (misses === MISSES_MAX) return;
      if (this.#waiters.get(host) !== waiter) continue;
      if (await waiter.wake()) misses = 0;
      else {
        misses += 1;
        // To the end of the line: it is perhaps drained, and would be asked in vain each time.
        if (this.#waiters.delete(host)) this.#waiters.set(host, waiter);
      }
    }
  }

  /** Those that could have such a job, best first: it did not break there before, the image is there. */
  #fitting(requirement: Requirement): readonly Waiter[] {
    const ranks: [Waiter[], Waiter[], Waiter[]] = [[], [], []];
    for (const waiter of this.#waiters.values()) {
      const match = matchOffer(requirement, waiter.request);
      if (typeof match === "string") continue;
      const isAvoided = requirement.avoid.includes(waiter.request.host);
      ranks[isAvoided ? 2 : match.digest === undefined ? 1 : 0].push(waiter);
    }
    return ranks.flat();
  }
}

async function answerWithin(
  waiter: Waiter,
  seconds: number,
  signal: () => AbortSignal,
): Promise<Grant | undefined> {
  if (seconds === 0) {
    waiter.end();
    return await waiter.answer;
  }
  const gone = signal();
  const timer = setTimeout(waiter.end, seconds * 1000);
  gone.addEventListener("abort", waiter.end, { once: true });
  try {
    if (gone.aborted) waiter.end();
    return await waiter.answer;
  } finally {
    clearTimeout(timer);
    gone.removeEventListener("abort", waiter.end);
  }
}

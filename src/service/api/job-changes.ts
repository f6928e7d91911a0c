import type { Tally } from "./tally.ts";

/** Leases that are remembered; one beyond is asked for again where it matters. */
const LEASES_MAX = 50_000;

/** What a lease is about, and what its attempt took so far. */
export type LeasedAttempt = {
  readonly host: string;
  readonly jobId: string;
  readonly attempt: number;
  readonly logs: Tally;
  readonly artifacts: Tally;
  /** Whether it wrote a log, or may have done so before this process began. */
  hasLogs: boolean;
};

/** What is followed: whatever happens to a job, or only that somebody cancels it, which its host waits for. */
type Change = "any" | "cancel";

/**
 * Which jobs change, for those who follow them: every change but that of passing time goes through this process. Whoever
 * follows must look now and then all the same.
 */
export class JobChanges {
  readonly #listeners = new Map<string, Set<() => void>>();
  readonly #leases = new Map<string, LeasedAttempt>();

  /** Tells the followers of a job. */
  tell(jobId: string, what: Change = "any"): void {
    for (const listener of this.#listeners.get(`${what} ${jobId}`) ?? []) listener();
  }

  /** Tells the followers of a lease's job, when the lease is remembered. */
  tellLease(lease: string): void {
    const attempt = this.#leases.get(lease);
    if (attempt !== undefined) this.tell(attempt.jobId);
  }

  /** Calls `listener` when `what` happens to a job. Returns what ends it. */
  follow(jobId: string, listener: () => void, what: Change = "any"): Disposable {
    const key = `${what} ${jobId}`;
    const listeners = this.#listeners.get(key) ?? new Set();
    listeners.add(listener);
    this.#listeners.set(key, listeners);
    return {
      [Symbol.dispose]: () => {
        listeners.delete(listener);
        if (listeners.size === 0) this.#listeners.delete(key);
      },
    };
  }

  /** Remembers what a lease is about. Twice is safe. */
  remember(lease: string, attempt: LeasedAttempt): LeasedAttempt {
    const known = this.#leases.get(lease);
    if (known !== undefined) return known;
    this.#leases.set(lease, attempt);
    const [oldest] = this.#leases.keys();
    if (this.#leases.size > LEASES_MAX && oldest !== undefined) this.#leases.delete(oldest);
    return attempt;
  }

  /** What a lease is about, if it is remembered. */
  leased(lease: string): LeasedAttempt | undefined {
    return this.#leases.get(lease);
  }

  /** Forgets a lease that is over. */
  forget(lease: string): void {
    this.#leases.delete(lease);
  }
}

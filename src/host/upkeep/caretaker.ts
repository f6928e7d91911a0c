import { Bell } from "#lib/bell.ts";
import { deadline } from "#lib/deadline.ts";
import type { Log } from "#lib/log.ts";
import type { Chore, ChoreName, ChoreNumbers } from "./chore.ts";
import type { Schedule } from "./schedule.ts";

/** The wall clock is looked at so often: by then a jump of it is seen. */
const LOOK_AGAIN_MS = 30_000;

/** A stop waits so long for runs that hear of it; what they leave is for the next daemon. */
const STOP_MS = 3_000;

type Tally = { runs: number; failures: number; lastMs?: number; lastSuccessMs?: number };

/**
 * Does chores at their times until it is disposed. Each chore has a loop of its own, so two runs of one never overlap, however long one
 * takes, and a chore that hangs holds up no other. Each run leaves one line in the log. Disposing waits three seconds at most.
 */
export class Caretaker implements AsyncDisposable {
  readonly #log: Log;
  readonly #wallMs: () => number;
  readonly #stop = new AbortController();
  readonly #tallies = new Map<ChoreName, Tally>();
  readonly #loops: readonly Promise<void>[];

  constructor(chores: readonly Chore[], log: Log, wallMs: () => number = Date.now) {
    this.#log = log;
    this.#wallMs = wallMs;
    this.#loops = chores.map((chore) => this.#keepAt(chore));
  }

  /** How each chore fared so far. */
  get numbers(): readonly ChoreNumbers[] {
    return [...this.#tallies].map(([name, { runs, failures, lastMs, lastSuccessMs }]) => ({
      name,
      runs,
      failures,
      lastMs,
      lastSuccessMs,
    }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error("the daemon stops"));
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, STOP_MS);
    await Promise.race([Promise.all(this.#loops), promise]);
    clearTimeout(timer);
  }

  async #keepAt(chore: Chore): Promise<void> {
    const { signal } = this.#stop;
    this.#tallies.set(chore.name, { runs: 0, failures: 0 });
    // Whoever made the caretaker goes on first.
    await Promise.resolve();
    if (chore.isAtStart) await this.#runOnce(chore);
    while (!signal.aborted) {
      await this.#untilDue(chore.schedule);
      if (!signal.aborted) await this.#runOnce(chore);
    }
  }

  /** A wall clock that is set forward makes it due once; one that is set back brings the next moment nearer. */
  async #untilDue(schedule: Schedule): Promise<void> {
    const { signal } = this.#stop;
    let dueMs = this.#wallMs() + schedule.msToNext();
    while (!signal.aborted) {
      const leftMs = dueMs - this.#wallMs();
      if (leftMs <= 0) return;
      await new Bell().heard(Math.min(leftMs, LOOK_AGAIN_MS), signal);
      if (this.#wallMs() >= dueMs) return;
      dueMs = Math.min(dueMs, this.#wallMs() + schedule.msToNext());
    }
  }

  async #runOnce({ name, limitMs, run }: Chore): Promise<void> {
    const tally = this.#tallies.get(name) ?? { runs: 0, failures: 0 };
    const startedMs = performance.now();
    using limit = deadline(limitMs, () => new Error(`not done within ${limitMs / 1000} s`));
    const about = () => ({ chore: name, durationMs: Math.round(performance.now() - startedMs) });
    try {
      const { isNews, fields } = await run(AbortSignal.any([this.#stop.signal, limit.signal]));
      tally.lastSuccessMs = this.#wallMs();
      const line = { ...about(), outcome: "done", ...fields };
      if (isNews) this.#log.info("chore", line);
      else this.#log.debug("chore", line);
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      tally.failures += 1;
      this.#log.warn("chore", { ...about(), outcome: "failed", error });
    } finally {
      tally.runs += 1;
      tally.lastMs = performance.now() - startedMs;
    }
  }
}

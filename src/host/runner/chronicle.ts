import type { Phase } from "#job/phase.ts";
import { isBefore, isLegalMove } from "#job/phase.ts";
import type { StepResult, Verdict } from "#job/verdict.ts";
import { uptimeMs } from "#lib/host-boot.ts";
import type { AttemptReport, Listener } from "./attempt.ts";
import type { Journal } from "./journal.ts";

type Draft = {
  -readonly [Key in keyof Omit<AttemptReport, "verdict" | "phases">]: AttemptReport[Key];
} & { readonly steps: StepResult[] };

/** What there is to say of an attempt that did nothing yet. */
export function nothingYet(): Draft {
  return {
    steps: [],
    artifacts: [],
    refused: [],
    image: undefined,
    acceleration: undefined,
    machine: undefined,
    kept: undefined,
    leaks: [],
    marksMs: {},
  };
}

/**
 * What is known of an attempt so far: phases with their times, and the report that grows as things become known. The
 * only place that changes the phase; an illegal move is a bug and throws. One that was taken up again begins in the phase that its
 * journal has.
 */
export class Chronicle {
  readonly draft: Draft;
  readonly #listener: Listener;
  readonly #journal: Journal;
  readonly #phases: { readonly phase: Phase; readonly atMs: number }[];

  private constructor(listener: Listener, journal: Journal) {
    this.draft = nothingYet();
    this.#listener = listener;
    this.#journal = journal;
    this.#phases = [...journal.past.phases];
  }

  /** Opens the chronicle of an attempt, new or not. */
  static async open(listener: Listener, journal: Journal): Promise<Chronicle> {
    const chronicle = new Chronicle(listener, journal);
    if (chronicle.#phases.length === 0) await chronicle.#note("leased");
    else if (chronicle.phase !== "leased") listener.takenUp(chronicle.phase);
    return chronicle;
  }

  get phase(): Phase {
    return this.#phases.at(-1)?.phase ?? "leased";
  }

  /** Since when, on the host's uptime, the attempt has been in a phase; undefined when it never was. */
  since(phase: Phase): number | undefined {
    return this.#phases.find((one) => one.phase === phase)?.atMs;
  }

  /** The attempt is over. The journal hears of it with the report, which is all that counts from then on. */
  settled(): void {
    if (!isLegalMove(this.phase, "settled"))
      throw new Error(`no way from ${this.phase} to settled`);
    this.#phases.push({ phase: "settled", atMs: uptimeMs() });
    this.#listener.enter("settled");
  }

  /** Goes to the next phase, once the journal has it. An attempt that was there, or further, before it was taken up again stays. */
  async reach(phase: Phase): Promise<void> {
    if (!isBefore(this.phase, phase)) return;
    if (!isLegalMove(this.phase, phase)) throw new Error(`no way from ${this.phase} to ${phase}`);
    await this.#note(phase);
  }

  /** Notes when something happened, in milliseconds since `sinceMs` on the monotonic clock. */
  mark(name: string, sinceMs: number): void {
    this.draft.marksMs = { ...this.draft.marksMs, [name]: Math.round(performance.now() - sinceMs) };
  }

  /** Notes evidence that could not be had. */
  missing(what: string, error: unknown): void {
    this.#listener.progress(
      `no ${what}: ${error instanceof Error ? error.message : String(error)}`,
    );
  }

  /** Notes something that teardown left behind. */
  leak(what: string, error: unknown): void {
    this.draft.leaks = [...this.draft.leaks, what];
    this.#listener.leak(what, error);
  }

  /** The report as of now. The verdict is settled before teardown and nothing after it changes it. */
  report(verdict: Verdict): AttemptReport {
    const { past } = this.#journal;
    // Nobody knows when the host was switched off: the phase that ended with it has no length.
    const cut = past.isOfEarlierBoot ? past.phases.length - 1 : -1;
    const nowMs = uptimeMs();
    const phases = this.#phases.map(({ phase, atMs }, index) => ({
      phase,
      durationMs: index === cut ? 0 : (this.#phases[index + 1]?.atMs ?? nowMs) - atMs,
    }));
    return { verdict, phases, ...this.draft };
  }

  async #note(phase: Phase): Promise<void> {
    const entry = { phase, atMs: uptimeMs() };
    await this.#journal.note({ entry: "phase", ...entry });
    this.#phases.push(entry);
    this.#listener.enter(phase);
  }
}

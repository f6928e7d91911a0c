import type { WireVerdict } from "#protocol/verdict.ts";

/** How many attempts ended in one way. */
export type Endings = {
  readonly verdict: WireVerdict["kind"];
  /** Of those that broke. */
  readonly fault: string | undefined;
  readonly count: number;
};

/** Counts how attempts end, since the daemon started. As many entries as there are faults, at most. */
export class AttemptTally {
  readonly #endings = new Map<string, Endings>();

  count({ kind, fault }: WireVerdict): void {
    const key = `${kind} ${fault?.code ?? ""}`;
    const count = (this.#endings.get(key)?.count ?? 0) + 1;
    this.#endings.set(key, { verdict: kind, fault: fault?.code, count });
  }

  get endings(): readonly Endings[] {
    return [...this.#endings.values()];
  }
}

import { translated } from "#host/images/translated.ts";
import type { Place } from "./in-use.ts";
import { takeInventory } from "./inventory.ts";
import { type Decision, decide, type PruneRules, shieldOf } from "./prune-rules.ts";
import { removeImage } from "./removal.ts";

/** What a prune came to. */
export type Pruned = {
  /** Each image, whether it goes, and why; what turned out to be in use at the last moment stays. */
  readonly decisions: readonly Decision[];
  readonly freedBytes: number;
  /** What the store still takes. */
  readonly leftBytes: number;
};

/** What a prune would do; changes nothing. */
export async function planPrune(place: Place, rules: PruneRules): Promise<Pruned> {
  return told(decide(await takeInventory(place), rules));
}

/**
 * Removes what the rules let go; `onRemoved` is told each as soon as it is gone. Safe beside everything else that uses the store, also
 * beside another prune, and when it is killed at any moment. Aborts between two images. Throws `Fault` when the store cannot
 * be written to.
 */
export async function prune(
  place: Place,
  rules: PruneRules,
  { onRemoved, signal }: { onRemoved: (decision: Decision) => void; signal: AbortSignal },
): Promise<Pruned> {
  return await translated(signal, async () => {
    const { decisions } = await planPrune(place, rules);
    const done: Decision[] = [];
    for (const decision of decisions)
      done.push(decision.goes ? await carryOut(decision) : decision);
    return told(done);
  });

  async function carryOut(decision: Decision): Promise<Decision> {
    signal.throwIfAborted();
    const { image } = decision;
    // What was true when it was decided may have changed: a job began, a name means it now.
    const why = await removeImage(
      place,
      image.digest,
      (use) => shieldOf({ ...image, ...use }, rules),
      signal,
    );
    if (why !== undefined) return { image, goes: false, why };
    onRemoved(decision);
    return decision;
  }
}

function told(decisions: readonly Decision[]): Pruned {
  const sum = (goes: boolean) =>
    decisions.reduce((bytes, one) => bytes + (one.goes === goes ? one.image.bytes : 0), 0);
  return { decisions, freedBytes: sum(true), leftBytes: sum(false) };
}

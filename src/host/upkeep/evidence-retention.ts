import type { Steadiness } from "#lib/steadiness.ts";
import { type ChoreReport, few } from "./chore.ts";
import type { Evidence, Remains } from "./ports.ts";

/** How long, and how much, evidence stays that was set aside: the service does not want it, and it is here for people. */
export type Retention = { readonly ageMs: number; readonly bytesMax: number };

/** Of a chore's run. */
export type Kept = Remains & { readonly bytes: number };

/**
 * What leaves, oldest first: what is too old, and then as much of the rest as is too much together. With a wall clock that is not
 * steady nothing is too old.
 */
export function leaving(
  aside: readonly Kept[],
  { ageMs, bytesMax }: Retention,
  now: { readonly wallMs: number; readonly isSteady: boolean },
): readonly Kept[] {
  const oldestFirst = aside.toSorted((a, b) => a.sinceMs - b.sinceMs);
  let bytes = aside.reduce((sum, one) => sum + one.bytes, 0);
  return oldestFirst.filter((one) => {
    const isOld = now.isSteady && now.wallMs - one.sinceMs >= ageMs;
    if (!isOld && bytes <= bytesMax) return false;
    bytes -= one.bytes;
    return true;
  });
}

/** The chore: looks at all evidence that is set aside and removes what leaves. */
export async function retainEvidence(
  { evidence, steadiness }: { readonly evidence: Evidence; readonly steadiness: Steadiness },
  retention: Retention,
  signal: AbortSignal,
): Promise<ChoreReport> {
  const kept: Kept[] = [];
  for (const remains of await evidence.list()) {
    signal.throwIfAborted();
    if (remains.state === "aside")
      kept.push({ ...remains, bytes: await evidence.bytesOf(remains.name) });
  }
  const now = { wallMs: Date.now(), isSteady: steadiness.isSteady() };
  const left = leaving(kept, retention, now);
  let bytes = 0;
  for (const { name } of left) {
    signal.throwIfAborted();
    bytes += await evidence.remove(name);
  }
  return {
    isNews: left.length > 0,
    fields: {
      aside: kept.length,
      removed: left.length,
      removedBytes: bytes,
      ...(left.length > 0 ? { attempts: few(left.map(({ name }) => name)) } : {}),
    },
  };
}

/**
 * Where an attempt is. Any phase may fall to `settled`; nothing else skips.
 *
 *   leased → preparing → booting → connecting → running → collecting → settled → reported
 */
export type Phase = keyof typeof NEXT_PHASES;

/** The legal moves. A table, so that a test can walk every pair. */
export const NEXT_PHASES = {
  leased: ["preparing", "settled"],
  preparing: ["booting", "settled"],
  booting: ["connecting", "settled"],
  connecting: ["running", "settled"],
  running: ["collecting", "settled"],
  collecting: ["settled"],
  settled: ["reported"],
  reported: [],
} as const satisfies Record<string, readonly string[]>;

/** True when an attempt may go from `from` to `to`. */
export function isLegalMove(from: Phase, to: Phase): boolean {
  return (NEXT_PHASES[from] as readonly Phase[]).includes(to);
}

const ORDER = Object.keys(NEXT_PHASES) as Phase[];

/** True when an attempt in phase `a` has not come to phase `b` yet. */
export function isBefore(a: Phase, b: Phase): boolean {
  return ORDER.indexOf(a) < ORDER.indexOf(b);
}

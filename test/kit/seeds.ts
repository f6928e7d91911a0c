import { randomInt } from "node:crypto";

/** Numbers below 1 that are the same for the same seed (mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** New seeds for each run, or the one of TESTBED_SEED. Put them into the tests' names, so that a failure can be repeated. */
export function seeds(count: number): readonly number[] {
  const given = process.env["TESTBED_SEED"];
  if (given !== undefined) return [Number(given)];
  return Array.from({ length: count }, () => randomInt(2 ** 31));
}

import { setTimeout as delay } from "node:timers/promises";

const LOOK_AGAIN_MS = 20;

/** Waits until a condition holds; fails with its name when the deadline passes first. */
export async function eventually(
  condition: () => boolean | Promise<boolean>,
  deadlineMs: number,
  againMs = LOOK_AGAIN_MS,
): Promise<void> {
  const endMs = performance.now() + deadlineMs;
  while (!(await condition())) {
    if (performance.now() > endMs) throw new Error(`not within ${deadlineMs} ms: ${condition}`);
    await delay(againMs);
  }
}

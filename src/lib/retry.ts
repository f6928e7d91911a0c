import { setTimeout as delay } from "node:timers/promises";

/** How long to wait between tries: doubling from the first pause to the longest, each shortened by chance. */
export type Pauses = { readonly firstMs: number; readonly longestMs: number };

/**
 * Does `work` again, after longer and longer pauses, for as long as `mayPass` says of what it throws that it may pass: a number of
 * milliseconds to wait at least, or undefined to give up and throw it. Throws the signal's reason when that aborts in a pause.
 */
export async function retry<T>(
  work: () => Promise<T>,
  mayPass: (error: unknown) => number | undefined,
  { firstMs, longestMs }: Pauses,
  signal: AbortSignal,
): Promise<T> {
  for (let pauseMs = firstMs; ; pauseMs = Math.min(pauseMs * 2, longestMs)) {
    try {
      return await work();
    } catch (error) {
      signal.throwIfAborted();
      const leastMs = mayPass(error);
      if (leastMs === undefined) throw error;
      // Shortened by up to half, so that a thousand hosts do not come back at once.
      const ms = Math.max(leastMs, pauseMs * (0.5 + Math.random() / 2));
      await delay(ms, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
  }
}

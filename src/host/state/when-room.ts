import { setTimeout as delay } from "node:timers/promises";

/** What a file system says when it, or a quota, has no room. */
const FULL: ReadonlySet<string> = new Set(["ENOSPC", "EDQUOT"]);

const ASK_AGAIN_MS = 1_000;

/** Does `work`, which must be safe twice, again and again while the disk is full: what has to be noted waits for room. */
export async function whenRoom<T>(work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!FULL.has((error as NodeJS.ErrnoException).code ?? "")) throw error;
      await delay(ASK_AGAIN_MS);
    }
  }
}

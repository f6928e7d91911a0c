import { Ended } from "#job/verdict.ts";

/**
 * A signal that comes so soon after the first is the same wish said twice: npm and npx pass on what the terminal has
 * already sent to everybody, and a closing terminal sends SIGHUP as well as its shell does.
 */
const SAME_WISH_MS = 750;

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * Ctrl-C and its kin. The first one aborts `signal` with the reason `cancelled` and calls `onFirst`; a later one calls
 * `onSecond`, which is to leave at once. A terminal that closes (SIGHUP) never counts as the second: nobody is there any
 * more to be impatient. Disposing gives the signals back to Node.
 */
export function cancelOnSignals(
  onFirst: () => void,
  onSecond: () => void,
): { readonly signal: AbortSignal } & Disposable {
  const controller = new AbortController();
  let firstMs: number | undefined;
  const listener = (name: (typeof SIGNALS)[number]) => {
    const nowMs = performance.now();
    if (firstMs === undefined) {
      firstMs = nowMs;
      controller.abort(new Ended("cancelled", WORDS[name]));
      onFirst();
    } else if (name !== "SIGHUP" && nowMs - firstMs > SAME_WISH_MS) onSecond();
  };
  for (const name of SIGNALS) process.on(name, listener);
  return {
    signal: controller.signal,
    [Symbol.dispose]() {
      for (const name of SIGNALS) process.off(name, listener);
    },
  };
}

const WORDS = {
  SIGINT: "interrupted (Ctrl-C)",
  SIGTERM: "ended by SIGTERM",
  SIGHUP: "the terminal was closed (SIGHUP)",
} as const;

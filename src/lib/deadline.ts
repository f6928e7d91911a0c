/** The longest delay that a timer holds; a longer one fires at once (https://nodejs.org/api/timers.html#settimeoutcallback-delay-args). */
export const TIMER_MS_MAX = 2 ** 31 - 1;

/**
 * A signal that aborts after `ms`, with a reason made then. Any length works; it does not keep the process alive, and
 * disposing stops the clock.
 */
export function deadline(
  ms: number,
  reason: () => Error,
): { readonly signal: AbortSignal } & Disposable {
  const controller = new AbortController();
  const endMs = performance.now() + ms;
  let timer: NodeJS.Timeout;
  const arm = () => {
    const leftMs = endMs - performance.now();
    if (leftMs <= 0) return controller.abort(reason());
    timer = setTimeout(arm, Math.min(leftMs, TIMER_MS_MAX)).unref();
  };
  timer = setTimeout(arm, Math.min(Math.max(ms, 0), TIMER_MS_MAX)).unref();
  return { signal: controller.signal, [Symbol.dispose]: () => clearTimeout(timer) };
}

/** Rejects with the signal's reason as soon as it aborts, even when `work` hears nothing of signals. */
export async function untilAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    if (signal.aborted) {
      work.catch(() => undefined);
      throw signal.reason;
    }
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

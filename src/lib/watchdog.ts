import type { Notifier } from "./notify.ts";

/** So many signs of life in the time after which systemd gives up: one may be late or lost. */
const SIGNS = 3;

/**
 * Says that the process is alive for as long as it is: the event loop turns, and `answers` resolves in time. That is to ask
 * every thread that the work depends on. Disposing ends it.
 */
export function keepAlive(
  notifier: Notifier,
  watchdogMs: number,
  answers: () => Promise<unknown>,
): Disposable {
  let isAsking = false;
  const look = () => {
    // A question that is still open is no sign of life: systemd counts the time.
    if (isAsking) return;
    isAsking = true;
    answers()
      .then(() => notifier.alive())
      .catch(() => undefined)
      .finally(() => {
        isAsking = false;
      });
  };
  look();
  const ticking = setInterval(look, watchdogMs / SIGNS).unref();
  return { [Symbol.dispose]: () => clearInterval(ticking) };
}

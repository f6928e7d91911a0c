import { verdictOf } from "#job/verdict.ts";
import type { Journal } from "./journal.ts";

/** A cancel and a deadline hold all the same when the journal has no room for their word. */
const NOTE_MS = 5_000;

/**
 * A signal that aborts as `signal` does, with its reason, once the journal has the verdict that this means: a step that is stopped for
 * it would pass for one that failed by itself, if this process died right then. Disposing stops listening.
 */
export function onceNoted(signal: AbortSignal, journal: Journal): AbortSignal & Disposable {
  const controller = new AbortController();
  const onAbort = () => {
    const abort = () => controller.abort(signal.reason);
    const timer = setTimeout(abort, NOTE_MS);
    journal
      .note({ entry: "verdict", verdict: verdictOf(signal.reason) })
      .catch(() => undefined)
      .finally(() => {
        clearTimeout(timer);
        abort();
      });
  };
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort, { once: true });
  return Object.assign(controller.signal, {
    [Symbol.dispose]: () => signal.removeEventListener("abort", onAbort),
  });
}

import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";

const EVERY_MS = 5;
const GIVE_UP_MS = 1000;

/**
 * Tries to connect every 5 ms until something accepts, and returns when that was (`performance.now()`). Throws the
 * signal's reason.
 */
export async function firstAnswerMs(
  address: string,
  port: number,
  signal: AbortSignal,
): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  const stop = new AbortController();
  const stopped = AbortSignal.any([signal, stop.signal]);
  void promise.then(() => stop.abort());
  while (!stopped.aborted) {
    const socket = connect({ host: address, port, signal: stopped });
    const timer = setTimeout(() => socket.destroy(), GIVE_UP_MS);
    socket.once("connect", () => {
      resolve(performance.now());
      socket.destroy();
    });
    socket.once("close", () => clearTimeout(timer));
    // Nothing there yet, or no such network yet.
    socket.on("error", () => undefined);
    await delay(EVERY_MS, undefined, { signal: stopped }).catch(() => undefined);
  }
  signal.throwIfAborted();
  return await promise;
}

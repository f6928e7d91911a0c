import { setTimeout as delay } from "node:timers/promises";
import { Fault } from "#job/fault.ts";
import type { Work } from "./work.ts";

const ASK_AGAIN_MS = 1_000;

/**
 * Does what needs libvirt, and again while libvirt is away: a restart of libvirtd breaks no attempt. `isAgain` tells a second try that
 * the first may have done its work all the same. When the order's patience is over, or `signal` aborts, libvirt-unreachable or the
 * signal's reason is thrown.
 */
export async function whileLibvirtIsAway<T>(
  { order, listener }: Pick<Work, "order" | "listener">,
  work: (isAgain: boolean) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  const endMs = performance.now() + order.libvirtPatienceSeconds * 1000;
  for (let isAgain = false; ; isAgain = true) {
    try {
      return await work(isAgain);
    } catch (error) {
      signal.throwIfAborted();
      const isAway = error instanceof Fault && error.code === "libvirt-unreachable";
      if (!isAway || performance.now() >= endMs) throw error;
      if (!isAgain) listener.progress(`waiting for libvirt: ${error.message}`);
      await delay(ASK_AGAIN_MS, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
  }
}

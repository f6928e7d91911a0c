import { readFile } from "node:fs/promises";
import { uptime } from "node:os";

/**
 * Milliseconds since this host booted, time in suspend included (CLOCK_BOOTTIME, clock_gettime(2)), in steps of ten. Unlike the wall
 * clock nobody can set it, and unlike `performance.now()` it means the same in the next process; it means nothing after the next boot.
 */
export function uptimeMs(): number {
  return Math.round(uptime() * 1000);
}

/** The id of this boot of the host, which changes with each (random(4)). */
export async function bootId(): Promise<string> {
  return (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
}

import { readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";

/** More busy cores than this while we do nothing: somebody else is working. */
const BUSY_CORES_MAX = 1.5;
/** The kernel counts in hundredths of a second (proc(5), /proc/stat), so a shorter look says nothing. */
const LOOK_MS = 100;
const PATIENCE_MS = 2000;

/** Waits a little for the machine to be quiet. Returns whether it is. Only right while we do nothing ourselves. */
export async function awaitQuiet(signal: AbortSignal): Promise<boolean> {
  const endMs = performance.now() + PATIENCE_MS;
  do {
    const before = await busySeconds();
    const startedAtMs = performance.now();
    await delay(LOOK_MS, undefined, { signal });
    const seconds = (performance.now() - startedAtMs) / 1000;
    if (((await busySeconds()) - before) / seconds <= BUSY_CORES_MAX) return true;
  } while (performance.now() < endMs);
  return false;
}

/** Seconds that all cores together have spent on something. */
async function busySeconds(): Promise<number> {
  const line = (await readFile("/proc/stat", "utf8")).split("\n", 1)[0] as string;
  const [user, nice, system, , , irq, softirq, steal] = line
    .split(/\s+/)
    .slice(1)
    .map(Number) as number[];
  const ticks = [user, nice, system, irq, softirq, steal].reduce<number>(
    (sum, value) => sum + (value ?? 0),
    0,
  );
  return ticks / 100;
}

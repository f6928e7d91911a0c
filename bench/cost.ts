import { readFile, writeFile } from "node:fs/promises";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** What a piece of work cost the process that did it. */
export type Cost = {
  /** Most resident memory during the work, above that before it. */
  readonly memoryMiB: number;
  /** How late the event loop came to a timer of 1 ms: 99th percentile, and the worst. */
  readonly loopDelayMsP99: number;
  readonly loopDelayMsMax: number;
};

/** The timer that is looked at. */
const RESOLUTION_MS = 1;

/** Does the work and says what it cost. Meant for a process that does nothing else. */
export async function costOf(work: () => Promise<unknown>): Promise<Cost> {
  collectGarbage();
  // Sets the high-water mark to what is resident now (proc(5), /proc/pid/clear_refs).
  await writeFile("/proc/self/clear_refs", "5");
  const beforeKiB = await statusKiB("VmRSS");
  const delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delays.enable();
  await work();
  delays.disable();
  const late = (ns: number) => Math.max(0, ns / 1e6 - RESOLUTION_MS);
  return {
    memoryMiB: Math.max(0, ((await statusKiB("VmHWM")) - beforeKiB) / 1024),
    loopDelayMsP99: late(delays.percentile(99)),
    loopDelayMsMax: late(delays.max),
  };
}

async function statusKiB(name: "VmRSS" | "VmHWM"): Promise<number> {
  const status = await readFile("/proc/self/status", "utf8");
  const [, digits] = new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(status) ?? [];
  if (digits === undefined) throw new Error(`/proc/self/status has no ${name}`);
  return Number(digits);
}

function collectGarbage(): void {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
}

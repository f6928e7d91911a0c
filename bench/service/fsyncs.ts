import { readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { Child } from "#bench/child.ts";
import { isInstalled } from "#lib/programs.ts";

const ATTACH_MS = 10_000;
const LOOK_MS = 20;

/**
 * How often a process has the kernel flush a file while `work` is done; undefined where strace is missing or may not look.
 * Being looked at makes it several times slower, so nothing else is measured meanwhile.
 */
export async function countFsyncs(
  pid: number,
  output: string,
  work: () => Promise<unknown>,
): Promise<number | undefined> {
  if (!(await isInstalled("strace"))) return undefined;
  const args = ["-f", "-c", "-o", output, "-e", "trace=fsync,fdatasync", "-p", String(pid)];
  {
    await using strace = new Child("strace", args, { stdio: "ignore", stopSignal: "SIGINT" });
    if (!(await isTraced(pid, strace))) return undefined;
    await work();
  }
  // Lines such as "1.22  0.045133  209  215  fsync", with the count fourth.
  const lines = (await readFile(output, "utf8")).split("\n");
  const counts = lines
    .filter((line) => /\b(fsync|fdatasync)$/.test(line))
    .map((line) => Number(line.trim().split(/\s+/)[3]));
  return counts.reduce((sum, count) => sum + count, 0);
}

async function isTraced(pid: number, strace: Child): Promise<boolean> {
  const endMs = performance.now() + ATTACH_MS;
  while (performance.now() < endMs && strace.process.exitCode === null) {
    const status = await readFile(`/proc/${pid}/status`, "utf8");
    if (!/^TracerPid:\s+0$/m.test(status)) return true;
    await delay(LOOK_MS);
  }
  return false;
}

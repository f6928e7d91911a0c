import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import type { VerdictDocument } from "#cli/run/verdict-schema.ts";
import { untilAborted } from "#lib/deadline.ts";
import { Child } from "./child.ts";
import { cpuSeconds, findProcess, peakMiB } from "./process-cost.ts";

/** What one `testbed run` was like. All times in milliseconds, those with a clock on that of `performance.now()`. */
export type Run = {
  readonly spawnedAtMs: number;
  /** When the libvirt call that starts the machine was sent. */
  readonly startedAtMs: number;
  /** When testbed said that the job's step is over. */
  readonly stepOverAtMs: number;
  readonly exitedAtMs: number;
  readonly verdict: VerdictDocument;
  /** Of QEMU, until the step was over, as far as looks every few milliseconds saw it. */
  readonly qemuCpuSeconds: number;
  readonly memoryMiB: number;
  readonly cpuSeconds: number;
};

const BIN = new URL("../bin/testbed", import.meta.url).pathname;
/** Longer than the job's own limit and all that testbed does after it. */
const STOP_MS = 60_000;
const LOOK_EVERY_MS = 25;
const STEP_OVER = /step 1 of 1: .* after /;

/** Runs a job on micro with one step, as a person would type it. Throws when it does not pass. */
export async function testbedRun(
  { folder, installation, command }: { folder: string; installation: string; command: string },
  signal: AbortSignal,
): Promise<Run> {
  const job = join(folder, "job.json");
  const step = { name: "first", run: command };
  await writeFile(job, JSON.stringify({ image: "micro", timeout: "3m", steps: [step] }));
  const spawnedAtMs = performance.now();
  await using child = new Child(BIN, ["run", "--json", "--results", join(folder, "out"), job], {
    // Out of the reach of a terminal's Ctrl-C: a second signal would have it leave its machine behind.
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
    stopMs: STOP_MS,
  });
  const { stdout, stderr, pid } = child.process;
  if (stdout === null || stderr === null || pid === undefined) throw new Error("nothing started");
  const [said, printed, watched] = [hear(stderr), text(stdout), watch(pid, installation, child)];
  const exitCode = await untilAborted(signal, child.ended);
  const exitedAtMs = performance.now();
  const { stepOverAtMs, lines } = await said;
  const looks = await watched;
  if (exitCode !== 0 || stepOverAtMs === undefined) {
    throw new Error(`testbed run ended with exit status ${exitCode}:\n${lines.join("\n")}`);
  }
  const verdict = JSON.parse(await printed) as VerdictDocument;
  const last = looks.findLast(({ atMs }) => atMs <= stepOverAtMs);
  return {
    spawnedAtMs,
    startedAtMs: stepOverAtMs - (verdict.marksMs["step 1 over"] ?? Number.NaN),
    stepOverAtMs,
    exitedAtMs,
    verdict,
    qemuCpuSeconds: last?.qemuCpuSeconds ?? Number.NaN,
    cpuSeconds: looks.at(-1)?.cpuSeconds ?? Number.NaN,
    memoryMiB: looks.at(-1)?.memoryMiB ?? Number.NaN,
  };
}

async function hear(stderr: Readable): Promise<{ stepOverAtMs?: number; lines: string[] }> {
  const lines: string[] = [];
  let stepOverAtMs: number | undefined;
  for await (const line of createInterface({ input: stderr })) {
    lines.push(line);
    if (STEP_OVER.test(line)) stepOverAtMs = performance.now();
  }
  return { lines, ...(stepOverAtMs === undefined ? {} : { stepOverAtMs }) };
}

type Look = {
  readonly atMs: number;
  readonly qemuCpuSeconds: number | undefined;
  readonly cpuSeconds: number;
  readonly memoryMiB: number;
};

/** Looks at testbed's process and at the QEMU that libvirt starts for it, again and again, until testbed ends. */
async function watch(pid: number, installation: string, child: Child): Promise<readonly Look[]> {
  const looks: Look[] = [];
  let qemu: number | undefined;
  while (child.process.exitCode === null && child.process.signalCode === null) {
    qemu ??= await findProcess(`guest=testbed-${installation.slice(0, 8)}-`);
    const [seconds, memoryMiB] = [await cpuSeconds(pid), await peakMiB(pid)];
    const qemuCpuSeconds = qemu === undefined ? undefined : await cpuSeconds(qemu);
    if (seconds !== undefined && memoryMiB !== undefined) {
      looks.push({ atMs: performance.now(), qemuCpuSeconds, cpuSeconds: seconds, memoryMiB });
    }
    await delay(LOOK_EVERY_MS);
  }
  return looks;
}

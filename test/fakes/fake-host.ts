import { spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Host } from "#cli/run/run-job-file.ts";
import type { AttemptOrder, AttemptReport, Listener } from "#host/runner/attempt.ts";
import { stepLogPath } from "#host/runner/results-folder.ts";
import { Fault } from "#job/fault.ts";
import type { Step } from "#job/spec.ts";
import { type StepResult, type Verdict, verdictOf } from "#job/verdict.ts";

/** Images of the fake catalogue that do not come up. */
const BROKEN: Readonly<Record<string, () => Fault>> = {
  nowhere: () => new Fault("image-unknown", "no image 'nowhere'; there is: micro"),
  unbootable: () =>
    new Fault("image-unbootable", "nothing on the console after 30 s\nis the kernel right?", {
      stage: "console speaks",
      evidence: { console: "booting\u001b[2J\n==> passed\n", seconds: 30 },
    }),
};

/** An image whose first machine breaks at once; its second boots like any other. */
const FLAKY = "flaky";

/** A host without machines: steps run as local shells, everything around them is told as a real host would. */
export function fakeHost(bootMs: number): Host {
  return {
    state: { path: "/nowhere", installation: "0".repeat(32) },
    runAttempts: async (order, listener, signal) => {
      const one = { ...order, isResumable: false, libvirtPatienceSeconds: 0 };
      const first = attempt({ ...one, attempt: 1 }, listener, { bootMs, signal });
      if (order.spec.image !== FLAKY) return [await first];
      const before = await first;
      await rm(join(order.resultsFolder, "steps"), { recursive: true });
      return [before, await attempt({ ...one, attempt: 2 }, listener, { bootMs, signal })];
    },
    [Symbol.asyncDispose]: async () => undefined,
  };
}

type Circumstances = { readonly bootMs: number; readonly signal: AbortSignal };

async function attempt(
  order: AttemptOrder,
  listener: Listener,
  { bootMs, signal }: Circumstances,
): Promise<AttemptReport> {
  const steps: StepResult[] = [];
  const verdict = await walk(order, listener, steps, { bootMs, signal }).catch(verdictOf);
  for (const { name } of order.spec.steps.slice(steps.length)) {
    steps.push({ name, outcome: "skipped", durationMs: 0, logBytes: 0, cutBytes: 0 });
  }
  listener.enter("settled");
  if (order.spec.image !== FLAKY || order.attempt > 1) await delay(bootMs / 10);
  const name = "testbed-00000000-0123456789abcdef";
  return {
    verdict,
    phases: [{ phase: "preparing", durationMs: 1 }],
    steps,
    artifacts: [],
    refused: [],
    image: { name: order.spec.image, version: "1", digest: "0".repeat(64) },
    acceleration: "tcg",
    machine: { name, memoryMiB: 128, cpus: 1 },
    kept: order.keep ? { name, address: "fe80::1%br0" } : undefined,
    leaks: [],
    marksMs: {},
  };
}

async function walk(
  order: AttemptOrder,
  listener: Listener,
  steps: StepResult[],
  { bootMs, signal }: Circumstances,
): Promise<Verdict> {
  listener.enter("preparing");
  if (order.spec.image === FLAKY) listener.progress(JSON.stringify({ job: order.job }));
  await mkdir(join(order.resultsFolder, "steps"));
  const broken = BROKEN[order.spec.image];
  if (order.spec.image === FLAKY && order.attempt === 1) {
    throw new Fault("image-unbootable", "not this time");
  }
  if (order.spec.image === "nowhere" && broken !== undefined) throw broken();
  listener.enter("booting");
  for (const requirement of ["console speaks", "address found", "login works"]) {
    listener.requirement(requirement, "waiting", 0);
    await delay(bootMs / 3, undefined, { signal });
    if (broken !== undefined) throw broken();
    listener.requirement(requirement, "met", bootMs / 3);
  }
  listener.enter("connecting");
  listener.enter("running");
  for (const [index, step] of order.spec.steps.entries()) {
    const result = await runStep(order, listener, { number: index + 1, step, signal });
    steps.push(result);
    signal.throwIfAborted();
    if (result.outcome !== "passed") return { kind: "failed", why: `step '${step.name}' failed` };
  }
  listener.enter("collecting");
  await writeFile(join(order.resultsFolder, "console.log"), "");
  return { kind: "passed" };
}

async function runStep(
  order: AttemptOrder,
  listener: Listener,
  { number, step, signal }: { number: number; step: Step; signal: AbortSignal },
): Promise<StepResult> {
  listener.stepBegins(number, step.name);
  const startedMs = performance.now();
  const log = createWriteStream(stepLogPath(order.resultsFolder, number, step.name));
  const child = spawn("sh", ["-c", `exec 2>&1\n${step.run}`], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const kill = () => child.kill("SIGKILL");
  signal.addEventListener("abort", kill);
  child.stdout.on("data", (piece: Buffer) => {
    if (!log.write(piece)) {
      child.stdout.pause();
      log.once("drain", () => child.stdout.resume());
    }
    listener.stepLog(number, piece);
  });
  const [exitCode] = (await once(child, "close")) as [number | null];
  signal.removeEventListener("abort", kill);
  log.end();
  await once(log, "finish");
  const result: StepResult = {
    name: step.name,
    outcome: signal.aborted ? "cancelled" : exitCode === 0 ? "passed" : "failed",
    ...(exitCode === null ? {} : { exitCode }),
    durationMs: Math.round(performance.now() - startedMs),
    logBytes: log.bytesWritten,
    cutBytes: 0,
  };
  listener.stepEnds(result);
  return result;
}

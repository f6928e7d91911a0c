import { readFile } from "node:fs/promises";
import { counted } from "#test/e2e/drills/counting.ts";
import type { Expected } from "#test/e2e/drills/expected.ts";
import { HOST, type MachineStage } from "#test/e2e/drills/machine-stage.ts";
import { eventually } from "#test/kit/eventually.ts";
import { SERVICE } from "#test/kit/lab.ts";
import { randomOf } from "#test/kit/seeds.ts";
import { type Killed, killAtRandom } from "./killer.ts";
import type { SoakOrder } from "./order.ts";
import type { SoakSummary } from "./summary.ts";

/** A job may wait for all others, each some minutes long on a host that is killed again and again. */
const OVER_MS = 12 * 3_600_000;

const LINES_EACH_SECOND = 10;

/** Runs a soak on a stage, and ends the stage. Never throws for what went wrong: the summary says so. */
export async function soak(
  name: string,
  order: SoakOrder,
  stage: MachineStage,
): Promise<SoakSummary> {
  const startedMs = performance.now();
  const random = randomOf(order.seed);
  const drawn = Array.from({ length: order.jobs }, () => drawJob(order, random));
  for (const expected of drawn) await stage.submit(expected, { timeout: "60m" });
  const killed: Killed = { daemon: 0, service: 0, libvirtd: 0 };
  const early = { MiB: 0 };
  const wrong: string[] = [];
  let isOver = false;
  const all = untilOver(stage, order, early).then(() => {
    isOver = true;
  });
  try {
    Object.assign(killed, await killAtRandom(stage, order, random, () => isOver));
    await stage.libvirt.begin();
    for (const who of [SERVICE, HOST]) await stage.lab.ready(who);
    await all;
    wrong.push(...(await stage.check()));
    const total = Object.values(killed).reduce((sum, one) => sum + one, 0);
    if (total < order.kills) wrong.push(`the jobs were over after ${total} kills`);
  } catch (error) {
    wrong.push((error as Error).message);
  }
  const { verdicts, attempts } = await stage.told();
  const lateMiB = await memoryOf(stage);
  await stage[Symbol.asyncDispose]().catch((error: Error) => wrong.push(error.message));
  const logBytes = drawn.reduce((sum, { counting }) => sum + counted(counting).length, 0);
  const durationMs = performance.now() - startedMs;
  const daemonMiB = [early.MiB, lateMiB] as const;
  return { name, order, durationMs, killed, verdicts, attempts, logBytes, daemonMiB, wrong };
}

/** How long it counts and how it ends. */
function drawJob({ secondsMin, secondsMax }: SoakOrder, random: () => number) {
  const seconds = secondsMin + random() * (secondsMax - secondsMin);
  const exitCode = random() < 0.5 ? 0 : 1 + Math.floor(random() * 125);
  const counting = { lines: Math.ceil(seconds * LINES_EACH_SECOND), exitCode };
  const verdict = exitCode === 0 ? "passed" : "failed";
  return { verdict, counting } as const satisfies Expected;
}

async function untilOver(
  stage: MachineStage,
  { jobs }: SoakOrder,
  early: { MiB: number },
): Promise<void> {
  const looked = async () => {
    const over = await stage.over();
    if (early.MiB === 0 && over >= jobs / 10) early.MiB = await memoryOf(stage);
    return over === jobs;
  };
  await eventually(looked, OVER_MS, 1_000);
}

/** Resident memory of the daemon. */
async function memoryOf({ lab }: MachineStage): Promise<number> {
  const pid = lab.running.get(HOST)?.pid;
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
  return Math.round(Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) / 1024);
}

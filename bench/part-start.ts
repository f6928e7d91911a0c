import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { GUEST_LINK_LOCAL, slotNetwork } from "#host/hypervisor/slot-network.ts";
import type { Acceleration } from "#host/runner/ports.ts";
import { type BareRun, bareRun } from "./bare-run.ts";
import { awaitQuiet } from "./foreign-load.ts";
import { type Amount, type Comparison, compare, type Goal, weigh } from "./goal.ts";
import { micro } from "./micro.ts";
import { isRoundDue, pairsOf, type Round } from "./pairs.ts";
import type { PartOrder } from "./part.ts";
import { firstAnswerMs } from "./probe.ts";
import type { Finding } from "./report.ts";
import { makeTap } from "./tap.ts";
import { type Run, testbedRun } from "./testbed-run.ts";
import { makeWorkplace } from "./workplace.ts";

const ROUNDS = 15;
/** A pair takes about ten seconds where machines are emulated. */
const BUDGET_MS = 150_000;
const COMMAND = "echo hello";

const SIDES = {
  bare: "bare QEMU",
  start: "from the libvirt start call",
  whole: "whole command line",
  bareCpu: "bare QEMU, its CPU time",
  cpu: "libvirt's QEMU, its CPU time",
} as const;

/** To the end of the first command in the guest; for the CPU time, until then. */
const GOALS: readonly Goal[] = [
  { side: SIDES.start, against: SIDES.bare, of: "time", limit: 1.2 },
  { side: SIDES.whole, against: SIDES.bare, of: "time", limit: 1.5 },
  { side: SIDES.cpu, against: SIDES.bareCpu, of: "time" },
];

/** A run, and when its guest's SSH port first answered somebody who asks every 5 ms. */
type Probed = { readonly run: Run; readonly answeredAtMs: number | undefined };

/** `testbed run` of a job with one line, against QEMU started by hand. The first of each does not count. */
export async function measureStart(order: PartOrder): Promise<void> {
  const { pairs, say, signal } = order;
  await using scope = new AsyncDisposableStack();
  const folder = await makeWorkplace(scope);
  const { image, images, installation } = await micro(order);
  const tap = await makeTap(scope, signal);
  const { bridge } = slotNetwork(installation, 0, 0);
  const ours = () =>
    probed({ folder, installation, address: `${GUEST_LINK_LOCAL}%${bridge}` }, signal);

  say("testbed run, for the first time");
  const { run: first } = await ours();
  const size = sizeOf(first);
  const bare = () => bareRun({ folder, image, images, size, tap, command: COMMAND }, signal);
  say(`bare QEMU, for the first time (${size.acceleration})`);
  await bare();

  const turns: Turn[] = [];
  const wanted = pairs ?? ROUNDS;
  const budgetMs = pairs === undefined ? BUDGET_MS : undefined;
  const startedMs = performance.now();
  const elapsedMs = () => performance.now() - startedMs;
  while (isRoundDue({ taken: turns.length, wanted }, elapsedMs(), budgetMs)) {
    say(`pair ${turns.length + 1} of ${wanted}`);
    const isNoisy = !(await awaitQuiet(signal));
    turns.push({ ...(await ours()), bare: await bare(), isNoisy });
  }
  order.onFinding(startFinding(turns));
  order.onFinding(breakdown(turns.map(({ run }) => run)));
}

async function probed(
  { folder, installation, address }: { folder: string; installation: string; address: string },
  signal: AbortSignal,
): Promise<Probed> {
  const own = await mkdtemp(join(folder, "run-"));
  const stop = new AbortController();
  let answeredAtMs: number | undefined;
  const probe = firstAnswerMs(address, 22, AbortSignal.any([signal, stop.signal])).then((ms) => {
    answeredAtMs = ms;
  });
  probe.catch(() => undefined);
  try {
    return {
      run: await testbedRun({ folder: own, installation, command: COMMAND }, signal),
      answeredAtMs,
    };
  } finally {
    stop.abort(new Error("the run is over"));
    await rm(own, { recursive: true, force: true });
  }
}

function sizeOf({ verdict: { machine, acceleration } }: Run) {
  if (machine === undefined || acceleration === undefined)
    throw new Error("no machine in the verdict");
  const { cpus, memoryMiB } = machine;
  return { cpus, memoryMiB, acceleration: acceleration satisfies Acceleration };
}

type Turn = Probed & { readonly bare: BareRun; readonly isNoisy: boolean };

function startFinding(turns: readonly Turn[]): Finding {
  const rounds = turns.map(
    ({ run, bare, isNoisy }): Round => ({
      isNoisy,
      ms: {
        [SIDES.bare]: bare.ms,
        [SIDES.start]: run.stepOverAtMs - run.startedAtMs,
        [SIDES.whole]: run.stepOverAtMs - run.spawnedAtMs,
        [SIDES.bareCpu]: bare.qemuCpuSeconds * 1000,
        [SIDES.cpu]: run.qemuCpuSeconds * 1000,
      },
    }),
  );
  return {
    name: "start to the first command's end",
    comparisons: GOALS.map((goal): Comparison => compare(goal, pairsOf(rounds, goal))),
    amounts: [readiness(turns), ...processCosts(turns.map(({ run }) => run))],
    rounds: turns.length,
    noisyRounds: turns.filter(({ isNoisy }) => isNoisy).length,
  };
}

function readiness(turns: readonly Turn[]): Amount {
  const values = turns.flatMap(({ run, answeredAtMs }) => {
    const mark = run.verdict.marksMs["port answers"];
    // An answer before the start is another machine's, in the same slot.
    if (mark === undefined || answeredAtMs === undefined || answeredAtMs < run.startedAtMs)
      return [];
    return [run.startedAtMs + mark - answeredAtMs];
  });
  return weigh("readiness noticed late by", "ms", { values, limit: 50 });
}

function processCosts(runs: readonly Run[]): Amount[] {
  return [
    weigh("memory of the process, at most", "MiB", {
      values: runs.map(({ memoryMiB }) => memoryMiB),
    }),
    weigh("CPU time of the process", "ms", { values: runs.map((run) => run.cpuSeconds * 1000) }),
  ];
}

/** Where the time goes: milliseconds on the way, and teardown apart. */
function breakdown(runs: readonly Run[]): Finding {
  const phase = (run: Run, name: string) =>
    run.verdict.phases.find((entry) => entry.phase === name)?.durationMs ?? 0;
  const amount = (what: string, of: (run: Run) => number) =>
    weigh(what, "ms", { values: runs.map(of) });
  const marks = Object.keys(runs[0]?.verdict.marksMs ?? {});
  return {
    name: "testbed run, in detail",
    comparisons: [],
    amounts: [
      amount("command line to libvirt's start call", (run) => run.startedAtMs - run.spawnedAtMs),
      ...marks.map((name) =>
        amount(`start call to: ${name}`, (run) => run.verdict.marksMs[name] ?? Number.NaN),
      ),
      ...["leased", "preparing", "booting", "connecting", "running", "collecting", "settled"].map(
        (name) => amount(`phase ${name}`, (run) => phase(run, name)),
      ),
      amount("teardown: step's end to exit", (run) => run.exitedAtMs - run.stepOverAtMs),
    ],
    rounds: runs.length,
    noisyRounds: 0,
  };
}

import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import { machineName } from "#job/machine-name.ts";
import type { Phase } from "#job/phase.ts";
import { eventually } from "#test/kit/eventually.ts";
import { Lab, type LabOptions, stateOf } from "#test/kit/lab.ts";
import { LibvirtGate } from "#test/kit/libvirt-gate.ts";
import type { OwnLibvirt } from "#test/kit/own-libvirt.ts";
import { qemuOf } from "#test/kit/processes.ts";
import { type SmallDisk, smallDisk } from "#test/kit/small-disk.ts";
import type { Running } from "#test/kit/testbed.ts";
import { countingStep } from "./counting.ts";
import { attemptsOf, type DrilledJob, type Expected } from "./expected.ts";
import { Foreign } from "./foreign.ts";
import { wrongWithHost } from "./host-invariants.ts";
import { wrongWithJob } from "./job-invariants.ts";
import { phaseOnDisk } from "./phase-on-disk.ts";
import { type ToldByLab, toldByLab } from "./told-by-lab.ts";

/** The host that drills are about. */
export const HOST = "drill";

/** What a row may change of its stage. */
export type StageOptions = Pick<LabOptions, "lease" | "env"> & {
  readonly slots?: number;
  /** The host's state folder is a file system of its own, so large. */
  readonly diskMiB?: number;
  /** Between the host and libvirt, to stop a call in a moment. */
  readonly isGated?: true;
};

type Around = {
  readonly gate: LibvirtGate | undefined;
  readonly disk: SmallDisk | undefined;
  readonly scope: AsyncDisposableStack;
};

const PHASE_MS = 120_000;

/** How long the last job of a drill may take from the end of the drill on. */
const SETTLED_MS = 240_000;

/**
 * Where a drill with machines happens: a service and a host that a drill may hurt, and the jobs it submits, each with what must come
 * of it. `check` says what does not hold in the end.
 */
export class MachineStage implements AsyncDisposable {
  readonly lab: Lab;
  readonly libvirt: OwnLibvirt;
  readonly #foreign: Foreign;
  readonly #jobs: DrilledJob[] = [];
  readonly #told: ToldByLab;
  readonly #around: Around;

  private constructor(lab: Lab, libvirt: OwnLibvirt, foreign: Foreign, around: Around) {
    this.lab = lab;
    this.libvirt = libvirt;
    this.#foreign = foreign;
    this.#around = around;
    this.#told = toldByLab(lab);
  }

  static async open(
    folder: string,
    libvirt: OwnLibvirt,
    { slots = 2, isGated, diskMiB, ...options }: StageOptions = {},
  ): Promise<MachineStage> {
    await using scope = new AsyncDisposableStack();
    const foreign = await Foreign.make(libvirt);
    const gate = isGated && scope.use(await LibvirtGate.open(join(folder, "gate"), libvirt.socket));
    const disk = diskMiB === undefined ? undefined : await hostDisk(diskMiB, libvirt, scope);
    const lab = await Lab.open(folder, [HOST], slots, {
      ...options,
      ...(disk === undefined ? {} : { diskReserve: "256MiB", diskLow: "16MiB" }),
      libvirt: gate?.uri ?? libvirt.uri,
    });
    return new MachineStage(lab, libvirt, foreign, { gate, disk, scope: scope.move() });
  }

  /** Only of a stage that is gated. */
  get gate(): LibvirtGate {
    return this.#around.gate ?? expect.fail("the stage is not gated");
  }

  /** Only of a stage with a disk of its own. */
  get disk(): SmallDisk {
    return this.#around.disk ?? expect.fail("the stage has no disk of its own");
  }

  /** The host's daemon. */
  get daemon(): Running {
    return this.lab.running.get(HOST) ?? expect.fail("the daemon does not run");
  }

  get jobs(): readonly DrilledJob[] {
    return this.#jobs;
  }

  /** Submits a job; one that says nothing of steps counts as `expected` says. */
  async submit(
    expected: Expected,
    job: Readonly<Record<string, unknown>> = {},
    more: readonly string[] = [],
  ): Promise<string> {
    const steps = expected.counting === undefined ? [] : [countingStep(expected.counting)];
    const name = `job-${this.#jobs.length + 1}`;
    const attempts = attemptsOf(expected).length;
    const id = await this.lab.submit(name, { steps, attempts, ...job }, more);
    this.#jobs.push({ id, expected });
    return id;
  }

  /** Another host joins, for what the first one loses. */
  async addHost(name: string): Promise<void> {
    const service = `unix:${Lab.socketIn(this.lab.folder)}`;
    await this.lab.host(name, { slots: 2, service });
  }

  /** Waits until a job is over. */
  async settled(job: string): Promise<void> {
    const isOver = async () => (await this.#told.detail(job))?.state === "settled";
    await eventually(isOver, SETTLED_MS);
  }

  /** What the service has of the first step's log. */
  async logOf(job: string): Promise<string> {
    return await (await this.#told.job(job)).log("step-1").catch(() => "");
  }

  /** Waits until the host has noted that an attempt entered a phase. */
  async entered(job: string, phase: Phase, attempt = 1): Promise<void> {
    await eventually(async () => await this.#isIn(job, phase, attempt), PHASE_MS);
  }

  /** Waits until the first step's log on the host has its line of this number. */
  async counted(job: string, line: number, attempt = 1): Promise<void> {
    const path = join(this.folderOf(job, attempt), "results/steps/01-count.log");
    const has = async () => {
      const text = await readFile(path, "utf8").catch(() => "");
      return text.includes(`line ${line} of`);
    };
    await eventually(has, PHASE_MS);
  }

  /** Waits until the host has printed these words about an attempt. */
  async printed(job: string, words: string, attempt = 1): Promise<void> {
    const path = join(this.folderOf(job, attempt), "output.log");
    const has = async () => (await readFile(path, "utf8").catch(() => "")).includes(words);
    await eventually(has, PHASE_MS);
  }

  /** Waits until an attempt's folder has a file of this name. */
  async noted(job: string, name: string): Promise<void> {
    await eventually(() => existsSync(join(this.folderOf(job), name)), PHASE_MS);
  }

  /** Where the host keeps an attempt. */
  folderOf(job: string, attempt = 1): string {
    return join(stateOf(HOST), "attempts", `${job}-${attempt}`);
  }

  /** The host's id of itself. */
  async installation(): Promise<string> {
    return (await readFile(join(stateOf(HOST), "installation"), "utf8")).trim();
  }

  /** What an attempt's machine is called. */
  async machineOf(job: string, attempt = 1): Promise<string> {
    return machineName({ installation: await this.installation(), job, attempt });
  }

  /** Waits until a process of the lab has said something. */
  async said(words: RegExp): Promise<void> {
    await eventually(() => words.test(this.lab.said), PHASE_MS);
  }

  /** Sends a signal to the QEMU of an attempt's machine. */
  async signalQemu(job: string, signal: NodeJS.Signals, attempt = 1): Promise<void> {
    process.kill(await qemuOf(await this.machineOf(job, attempt)), signal);
  }

  /** How many jobs are over, as far as the service answers. */
  async over(): Promise<number> {
    const all = await Promise.all(this.#jobs.map(({ id }) => this.#told.detail(id)));
    return all.filter((detail) => detail?.state === "settled").length;
  }

  /** How many jobs ended how, and with how many attempts in all. */
  async told() {
    const verdicts: Record<string, number> = {};
    let attempts = 0;
    for (const { id } of this.#jobs) {
      const detail = await this.#told.detail(id);
      const how = detail?.verdict ?? detail?.state ?? "unknown";
      verdicts[how] = (verdicts[how] ?? 0) + 1;
      attempts += detail?.attempts ?? 0;
    }
    return { verdicts, attempts };
  }

  /** What is wrong once all jobs are over and the host is idle. */
  async check(): Promise<readonly string[]> {
    for (const { id } of this.#jobs) await this.settled(id).catch(() => undefined);
    const ofJobs = await Promise.all(
      this.#jobs.map(async (job) => await wrongWithJob(job, await this.#told.job(job.id))),
    );
    const ofHost = await wrongWithHost(this.lab, this.libvirt);
    return [...ofJobs.flat(), ...ofHost, ...(await this.#foreign.wrong())];
  }

  /** Ends all processes; fails when one of them does not end as it should. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.lab[Symbol.asyncDispose]();
    await this.#around.scope[Symbol.asyncDispose]();
  }

  async #isIn(job: string, phase: Phase, attempt: number): Promise<boolean> {
    const noted = await phaseOnDisk(this.folderOf(job, attempt));
    return (noted ?? (await this.#told.detail(job))?.phase) === phase;
  }
}

/**
 * The host's state folder as a file system of its own, which libvirt sees until `scope` ends, and not after it: the same installation
 * as without it, whose networks are known.
 */
async function hostDisk(
  mib: number,
  libvirt: OwnLibvirt,
  scope: AsyncDisposableStack,
): Promise<SmallDisk> {
  const state = stateOf(HOST);
  const file = join(state, "installation");
  await mkdir(state, { recursive: true });
  const installation = await readFile(file).catch(() => undefined);
  scope.defer(async () => await libvirt.seeMounts());
  const disk = scope.use(await smallDisk(mib, state));
  if (installation !== undefined) await writeFile(file, installation);
  await libvirt.seeMounts();
  return disk;
}

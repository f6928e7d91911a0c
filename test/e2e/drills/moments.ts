import { existsSync } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Phase } from "#job/phase.ts";
import { eventually } from "#test/kit/eventually.ts";
import { stateOf } from "#test/kit/lab.ts";
import type { Moment as CallMoment } from "#test/kit/libvirt-gate.ts";
import { HOST, type MachineStage } from "./machine-stage.ts";

/** Waits for a moment of a job that is about to be submitted; asked before it is, since some moments come at once. */
export type Moment = (stage: MachineStage, job: Promise<string>) => Promise<void>;

const DEADLINE_MS = 120_000;

/** An attempt's first entry into a phase. */
export function inPhase(phase: Phase): Moment {
  return async (stage, job) => await stage.entered(await job, phase);
}

/** The first step has printed so many lines, and the host has them. */
export function atLine(line: number): Moment {
  return async (stage, job) => await stage.counted(await job, line);
}

/** The host has printed these words about the attempt. */
export function printed(words: string): Moment {
  return async (stage, job) => await stage.printed(await job, words);
}

/** A call of the daemon's to libvirt is held until the daemon is gone. Only on a gated stage. */
export function atCall(when: CallMoment["when"], procedure: CallMoment["procedure"]): Moment {
  return async (stage) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    stage.gate.once({ when, procedure }, async () => {
      resolve();
      await eventually(() => !stage.lab.running.has(HOST), DEADLINE_MS);
    });
    await promise;
  };
}

/** The host's lease lies on its disk, and nothing else has happened. */
export const atGrant: Moment = async () => {
  const folder = join(stateOf(HOST), "attempts");
  await soon(async () => (await names(folder)).some((name) => /^[0-9a-f]{16}-1$/.test(name)));
};

/** A machine's folder has a file of this name. */
export function atMachineFile(file: string): Moment {
  return async () => {
    const folder = join(stateOf(HOST), "machines");
    await soon(async () =>
      (await names(folder)).some((name) => existsSync(join(folder, name, file))),
    );
  };
}

/** So many bytes of artifacts have come home. */
export function atArtifactBytes(path: string, bytes: number): Moment {
  return async (stage, job) => {
    const file = join(stage.folderOf(await job), "results/artifacts", path);
    await soon(async () => (await sizeOf(file)) >= bytes);
  };
}

/** Looks a thousand times a second: `eventually` would come too late for what is over in a moment. */
async function soon(condition: () => Promise<boolean>): Promise<void> {
  const endMs = performance.now() + DEADLINE_MS;
  while (!(await condition())) {
    if (performance.now() > endMs) throw new Error(`not within ${DEADLINE_MS} ms: ${condition}`);
    await delay(1);
  }
}

async function names(folder: string): Promise<readonly string[]> {
  return await readdir(folder).catch(() => []);
}

async function sizeOf(file: string): Promise<number> {
  return (await stat(file).catch(() => undefined))?.size ?? 0;
}

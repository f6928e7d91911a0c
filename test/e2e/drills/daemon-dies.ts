import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { eventually } from "#test/kit/eventually.ts";
import type { Expected } from "./expected.ts";
import { HOST, type MachineStage } from "./machine-stage.ts";
import type { Moment } from "./moments.ts";

export type DaemonDies = {
  readonly moment: Moment;
  /** What must come of the job all the same. */
  readonly expected: Expected;
  readonly job?: Readonly<Record<string, unknown>>;
  /** Content of files that the job names, by name. */
  readonly files?: Readonly<Record<string, Uint8Array>>;
  readonly signal?: NodeJS.Signals;
  /** Waits until the next daemon may begin; default: at once. */
  readonly until?: (stage: MachineStage, job: string) => Promise<void>;
};

/** The time in which a daemon that is told to stop does. */
const STOP_MS = 10_000;

/** A drill: a job is submitted, the daemon dies at a moment of its life, and another begins. */
export function daemonDies(order: DaemonDies) {
  const { moment, expected, job = {}, files = {}, signal = "SIGKILL", until } = order;
  return async (stage: MachineStage): Promise<void> => {
    for (const [name, content] of Object.entries(files))
      await writeFile(join(stage.lab.folder, name), content);
    const submitted = Promise.withResolvers<string>();
    const reached = moment(stage, submitted.promise);
    const id = await stage.submit(expected, job);
    submitted.resolve(id);
    await reached;
    const askedMs = performance.now();
    await stage.lab.end(HOST, signal);
    const tookMs = performance.now() - askedMs;
    if (tookMs > STOP_MS) throw new Error(`the daemon took ${tookMs} ms to end`);
    await until?.(stage, id);
    await stage.lab.begin(HOST);
  };
}

/** Waits for a time that no event marks: how long a daemon is away. */
export async function passing(seconds: number): Promise<void> {
  const endMs = performance.now() + seconds * 1000;
  await eventually(() => performance.now() >= endMs, seconds * 1000 + 5_000);
}

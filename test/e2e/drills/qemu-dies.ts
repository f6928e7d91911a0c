import type { Expected, ExpectedAttempt } from "./expected.ts";
import type { MachineStage } from "./machine-stage.ts";
import type { Moment } from "./moments.ts";

export type QemuDies = {
  readonly moment: Moment;
  readonly signal: NodeJS.Signals;
  /** What comes of the job in its second attempt; default: it counts. */
  readonly expected?: Expected;
  readonly job?: Readonly<Record<string, unknown>>;
};

const CRASHED: ExpectedAttempt = { kind: "broken", code: "machine-crashed", blame: "host" };

/** A drill: the QEMU of a job's machine is ended at a moment, which is the host's fault, and another attempt passes. */
export function qemuDies({ moment, signal, expected, job = {} }: QemuDies) {
  return async (stage: MachineStage): Promise<void> => {
    const submitted = Promise.withResolvers<string>();
    const reached = moment(stage, submitted.promise);
    const passes = expected ?? { verdict: "passed", counting: { lines: 40 } };
    const id = await stage.submit({ ...passes, attempts: [CRASHED, { kind: "passed" }] }, job);
    submitted.resolve(id);
    await reached;
    await stage.signalQemu(id, signal);
  };
}

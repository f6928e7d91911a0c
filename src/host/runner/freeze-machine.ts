import { join } from "node:path";
import { Fault } from "#job/fault.ts";
import { deadline, untilAborted } from "#lib/deadline.ts";
import type { AttemptOrder } from "./attempt.ts";
import type { Stand } from "./begin-machine.ts";
import type { Guest } from "./guest-port.ts";
import { MACHINE_FILES } from "./machine-record.ts";
import type { Machine } from "./ports.ts";
import type { Work } from "./work.ts";

/** systemd gives a unit that will not stop 90 s (systemd-system.conf(5), DefaultTimeoutStopSec), and an emulated guest is slow. */
const POWER_OFF_MS = 240_000;

/**
 * Shuts the guest down and hands over the disk of its machine, which is off then. Only a guest that powered itself off has written
 * all it had to write, so any other end is thrown as what it is.
 */
export async function freezeMachine(
  { holdings }: Work,
  frozen: { stand: Stand; guest: Guest; onFrozen: NonNullable<AttemptOrder["onFrozen"]> },
  signal: AbortSignal,
): Promise<void> {
  const { stand, guest, onFrozen } = frozen;
  await shutDown(stand.machine, guest, signal);
  // That it ended was asked for: whatever goes wrong from here on is not explained by it.
  delete holdings.machine;
  await onFrozen(join(stand.place.folder, MACHINE_FILES.disk), signal);
}

async function shutDown(machine: Machine, guest: Guest, signal: AbortSignal): Promise<void> {
  const { ended } = machine;
  const says = () =>
    new Fault("image-build-failed", `the guest is not off after ${POWER_OFF_MS / 1000} s`, {
      stage: "power off",
    });
  using limit = deadline(POWER_OFF_MS, says);
  const over = AbortSignal.any([ended, signal, limit.signal]);
  try {
    await untilAborted(over, guest.powerOff(over));
    await untilAborted(over, new Promise<never>(() => undefined));
  } catch (error) {
    if (!ended.aborted) throw error;
  }
  const end: unknown = ended.reason;
  if (!(end instanceof Fault) || end.code !== "guest-powered-off") throw end;
}

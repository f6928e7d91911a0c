import type { Access, Image, Machine, OnRequirement } from "#host/runner/ports.ts";
import { Fault, type FaultCode } from "#job/fault.ts";
import { SshConnection } from "./connection.ts";
import { pause, probe } from "./dial.ts";
import { GuestLink } from "./guest-link.ts";
import type { GuestOptions } from "./guest-options.ts";
import { awaitReadiness, Milestones } from "./readiness.ts";
import { installRunner } from "./runner.ts";
import { LoginRefused, WrongHostKey } from "./ssh-errors.ts";

export type ConnectOrder = {
  readonly machine: Machine;
  readonly access: Access;
  readonly image: Image;
  readonly onRequirement: OnRequirement;
  readonly options: GuestOptions;
};

const RETRY_MS = 100;
/** A guest that refused us is asked less often: each try costs it a handshake, and it may still be starting up. */
const REFUSED_RETRY_MS = 500;

/** Walks the readiness list and returns a link to the guest. On a throw no connection is left. */
export async function connectGuest(order: ConnectOrder, signal: AbortSignal): Promise<GuestLink> {
  const { machine, image, options, onRequirement } = order;
  const factor = machine.acceleration === "tcg" ? options.emulationFactor : 1;
  const stop = new AbortController();
  const milestones = new Milestones();
  const work = reach(order, {
    milestones,
    factor,
    signal: AbortSignal.any([signal, machine.ended, stop.signal]),
  });
  try {
    await awaitReadiness({
      machine,
      readiness: image.readiness,
      factor,
      floorMs: options.floorSeconds * 1000,
      milestones,
      work,
      onRequirement,
      signal,
    });
    return await work;
  } catch (error) {
    stop.abort(error);
    work.then((link) => link[Symbol.dispose]()).catch(() => undefined);
    throw error;
  }
}

type Way = {
  readonly milestones: Milestones;
  readonly factor: number;
  readonly signal: AbortSignal;
};

/** Works towards the milestones: finds the guest, logs in, installs the runner. Tries again whatever may pass. */
async function reach(order: ConnectOrder, way: Way): Promise<GuestLink> {
  const { machine, options } = order;
  let refusedAtMs: number | undefined;
  for (;;) {
    try {
      return await tryOnce(order, way);
    } catch (error) {
      way.signal.throwIfAborted();
      if (error instanceof Fault) throw error;
      way.milestones.lastError = (error as Error).message;
      if (error instanceof WrongHostKey || error instanceof LoginRefused) {
        refusedAtMs ??= performance.now();
        way.milestones.lastRefusal = refusalCode(error);
        if (performance.now() - refusedAtMs > options.graceSeconds * way.factor * 1000) {
          throw refusal(error, machine);
        }
      }
    }
    await pause(refusedAtMs === undefined ? RETRY_MS : REFUSED_RETRY_MS, way.signal);
  }
}

async function tryOnce(order: ConnectOrder, way: Way): Promise<GuestLink> {
  const { machine, access, options } = order;
  const { milestones, signal } = way;
  const handshakeMs = options.handshakeSeconds * 1000 * way.factor;
  const { socket, address } = await probe({
    addresses: (stop) => machine.addresses(stop),
    port: options.port,
    bannerMs: handshakeMs,
    signal,
    // An address to try is no sign that the guest speaks.
    onAddress: () => milestones.note("address found"),
    onConnect: () => milestones.reach("port answers"),
    onFailure: (why) => {
      milestones.lastError = why;
    },
  });
  milestones.reach("banner");
  const connection = await SshConnection.open(socket, access, {
    handshakeMs,
    signal,
    onHostKey: () => milestones.reach("host key matches"),
  });
  try {
    milestones.reach("login works");
    const bootId = await installRunner(connection, options, options.settledFile, signal);
    milestones.reach("guest settled");
    const place = { address, bootId };
    return new GuestLink({ machine, place, credentials: access, connection, options });
  } catch (error) {
    connection[Symbol.dispose]();
    throw error;
  }
}

function refusal(error: WrongHostKey | LoginRefused, machine: Machine): Fault {
  return new Fault(refusalCode(error), `${machine.name}: ${error.message}`, { cause: error });
}

function refusalCode(error: WrongHostKey | LoginRefused): FaultCode {
  return error instanceof WrongHostKey ? "guest-wrong-host-key" : "guest-login-refused";
}

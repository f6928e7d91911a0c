import type { GuestOptions } from "#host/guest/guest-options.ts";
import { SshGuests } from "#host/guest/ssh-guests.ts";
import type { Guest } from "#host/runner/guest-port.ts";
import type { Access } from "#host/runner/ports.ts";
import { PAPER_IMAGE } from "./orders.ts";
import { LoopbackMachine } from "./ssh-machine.ts";

/** Deadlines short enough for tests of what goes wrong. */
const HASTY = {
  handshakeSeconds: 2,
  graceSeconds: 0.2,
  floorSeconds: 0.5,
  unreachableSeconds: 2,
  sshdGoneSeconds: 1,
  slackSeconds: 1,
  stopSeconds: 3,
  stallSeconds: 2,
} satisfies Partial<GuestOptions>;

/** Connects to a guest on this host, hastily. */
export async function connectTo(
  at: { readonly access: Access; readonly options: Partial<GuestOptions> },
  more: { machine?: LoopbackMachine; options?: Partial<GuestOptions>; sshSeconds?: number } = {},
): Promise<Guest> {
  const guests = new SshGuests({ ...at.options, ...HASTY, ...more.options });
  const sshSeconds = more.sshSeconds ?? 20;
  const image = {
    ...PAPER_IMAGE,
    readiness: { consoleSeconds: sshSeconds, sshSeconds, settledSeconds: sshSeconds },
  };
  const machine = more.machine ?? new LoopbackMachine();
  return await guests.connect(
    machine,
    at.access,
    image,
    () => undefined,
    AbortSignal.timeout(50_000),
  );
}

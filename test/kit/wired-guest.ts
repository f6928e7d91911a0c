import { mkdtemp } from "node:fs/promises";
import { join } from "node:path";
import type { Guest } from "#host/runner/guest-port.ts";
import { connectTo } from "./ssh-connect.ts";
import { LoopbackMachine } from "./ssh-machine.ts";
import type { Wire } from "./ssh-proxy.ts";
import type { LoopbackSshd } from "./ssh-sshd.ts";

/** A guest on this host behind a wire that can be cut, connected to hastily. */
export type WiredGuest = {
  readonly guest: Guest;
  /** The runner's state folder in the guest. */
  readonly state: string;
  /** Where a test may write, in the guest and here. */
  readonly folder: string;
} & AsyncDisposable;

/** Connects to the server behind the wire, with folders that are this guest's alone. */
export async function guestBehindWire(
  { sshd, wire }: { readonly sshd: LoopbackSshd; readonly wire: Wire },
  machine = new LoopbackMachine(),
): Promise<WiredGuest> {
  const folder = await mkdtemp(join(sshd.folder, "guest-"));
  const state = join(folder, "run");
  const options = { port: wire.port, stateFolder: state, logFolder: join(folder, "logs") };
  const guest = await connectTo(
    { access: sshd.access, options: { ...sshd.options, ...options } },
    { machine },
  );
  return { guest, state, folder, [Symbol.asyncDispose]: () => guest[Symbol.asyncDispose]() };
}

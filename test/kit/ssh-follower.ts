import { readFileSync } from "node:fs";
import { SshGuests } from "#host/guest/ssh-guests.ts";
import type { GuestPlace, StepOrder } from "#host/runner/guest-port.ts";
import { connectTo } from "./ssh-connect.ts";
import { LoopbackMachine } from "./ssh-machine.ts";

/** What a follower is told, as JSON on its standard input. */
export type FollowOrder = {
  readonly port: number;
  readonly folders: { readonly stateFolder: string; readonly logFolder: string };
  readonly settledFile: string;
  readonly clientKey: string;
  /** Base64. */
  readonly hostKey: string;
  /** Undefined for the first one, which walks the readiness list. */
  readonly place: GuestPlace | undefined;
  readonly step: StepOrder;
};

/**
 * A process of its own that follows one step of a guest on this host, so that it can be killed:
 *
 *     node ssh-follower.ts    (a `FollowOrder` on standard input)
 *
 * Prints the guest's place as a line of JSON once it has it, and how the step ended as another.
 */
const told = JSON.parse(readFileSync(0, "utf8")) as FollowOrder;
const hostKey = Buffer.from(told.hostKey, "base64");
const access = { login: "root", clientKey: told.clientKey, hostKey, seedPath: "/none" };
const options = { port: told.port, settledFile: told.settledFile, ...told.folders };
const never = new AbortController().signal;
await using guest =
  told.place === undefined
    ? await connectTo({ access, options })
    : await new SshGuests(options).resume(
        { machine: new LoopbackMachine(), access, place: told.place },
        never,
      );
process.stdout.write(`${JSON.stringify(guest.place)}\n`);
process.stdout.write(`${JSON.stringify(await guest.run(told.step, never))}\n`);

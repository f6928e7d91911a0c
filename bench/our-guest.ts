import { SshGuests } from "#host/guest/ssh-guests.ts";
import type { Guest } from "#host/runner/guest-port.ts";
import type { Machine } from "#host/runner/ports.ts";
import type { Setting } from "./measurement.ts";

/** The product's own guest, with all its verbs, on a server. It is logged out with the scope. */
export async function connectGuest({ server, scope, signal }: Setting): Promise<Guest> {
  const { port, guestFolders } = server;
  const guests = new SshGuests({ port, ...guestFolders });
  const image = { readiness: { consoleSeconds: 60, sshSeconds: 60, settledSeconds: 60 } };
  const guest = await guests.connect(
    machineAt(server.address),
    { ...server, seedPath: "" },
    image as Parameters<typeof guests.connect>[2],
    () => undefined,
    signal,
  );
  return scope.use(guest);
}

/** A machine of which only the address is known, and that it runs. */
function machineAt(address: string): Machine {
  return {
    name: "bench",
    acceleration: "kvm",
    startedAtMs: performance.now(),
    ended: new AbortController().signal,
    addresses: async () => [address],
    console: {
      size: async () => 1,
      tail: async () => Buffer.alloc(0),
      save: async () => 0,
      panic: async () => undefined,
    },
    screenshot: async () => undefined,
    isHung: async () => false,
    evidence: async () => ({}),
    keep: () => undefined,
    [Symbol.asyncDispose]: async () => undefined,
  };
}
